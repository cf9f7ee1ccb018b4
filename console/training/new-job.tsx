import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { ApiFailure, messageOf } from '../api/errors.js';
import { createJob, uploadTrainingFile } from '../api/training.js';
import type { Job, Me, NewJob } from '../api/types.js';
import { DropZone } from '../ui/drop-zone.js';
import { formatBytes } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { ENOUGH_TO_HOLD_OUT, type Examples, readExamples, splitExamples } from './examples.js';
import { type Preset, quickPreset } from './methods.js';
import { Preview } from './preview.js';
import { rememberPrompt } from './remembered.js';
import { isShown, type Settings, SettingsFields } from './settings-fields.js';

interface NewJobFormProps {
  readonly me: Me;
  /** Called with the job once it is queued. */
  readonly created: (job: Job) => Promise<void>;
}

interface Chosen {
  readonly file: File;
  readonly read: Examples;
}

/** The way from a file to a job: drop it, look at what was read, choose, start. */
export function NewJobForm({ me, created }: NewJobFormProps): VNode {
  const [chosen, setChosen] = useState<Chosen>();
  const [settings, setSettings] = useState<Settings>({
    name: '',
    method: 'prefix',
    length: 10,
    init: 'random',
    ...numbersOf(quickPreset(0)),
    holdsOut: false,
    tooLong: 'fail',
  });
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const [busy, setBusy] = useState(false);
  const change = (changes: Partial<Settings>): void => setSettings((before) => ({ ...before, ...changes }));
  const take = async (files: readonly File[]): Promise<void> => {
    const [file, other] = files;
    if (file === undefined) return;
    setProblems(other === undefined ? {} : { '': 'One file at a time, please: the first was taken.' });
    const text = await file.text().catch(() => undefined);
    if (text === undefined) {
      setChosen(undefined);
      setProblems({
        '': `“${file.name}” cannot be read: it is a folder, has changed, or is too large for the browser.`,
      });
      return;
    }
    const read = readExamples(text, me.base_model.chat);
    setChosen({ file, read });
    const count = read.examples.length;
    change({ ...numbersOf(quickPreset(count)), holdsOut: count >= ENOUGH_TO_HOLD_OUT });
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!chosen) return;
    setBusy(true);
    setProblems({});
    try {
      await created(await startJob(chosen, settings, me.base_model.id));
    } catch (error) {
      const param = error instanceof ApiFailure ? (error.param ?? '') : '';
      setProblems({ [param.replace('prefix_tuning.', '').replace('hyperparameters.', '')]: messageOf(error) });
      setBusy(false);
    }
  };
  const count = chosen?.read.examples.length ?? 0;
  return (
    <form class="new-job" noValidate onSubmit={(event) => void submit(event)}>
      <h2>A new prefix from examples</h2>
      <DropZone label="Choose a file" accept=".jsonl,.json,.txt" take={(files) => void take(files)}>
        Drop a file of lines such as{' '}
        <code>{'{"prompt": "About Anna\\n", "completion": "Good news: Anna is here!"}'}</code>
      </DropZone>
      {chosen && (
        <>
          <h3>
            {chosen.file.name} <span class="quiet">{formatBytes(chosen.file.size)}</span>
          </h3>
          <Preview read={chosen.read} base={me.base_model} length={settings.length} />
        </>
      )}
      {count > 0 && (
        <>
          <SettingsFields
            settings={settings}
            change={change}
            examples={count}
            problems={problems}
            isDecoder={me.base_model.architecture === 'decoder'}
          />
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Starting …' : 'Start training'}
          </button>
        </>
      )}
      {chosen && count === 0 && <Notice kind="problem">There is no example in this file that can be used.</Notice>}
      {Object.entries(problems)
        .filter(([param]) => !isShown(param))
        .map(([param, problem]) => (
          <Notice key={param} kind="problem">
            {problem}
          </Notice>
        ))}
    </form>
  );
}

function numbersOf({
  mlp,
  learningRate,
  epochs,
  batchSize,
}: Preset): Pick<Settings, 'mlp' | 'learningRate' | 'epochs' | 'batchSize'> {
  return { mlp, learningRate, epochs, batchSize };
}

async function startJob({ file, read }: Chosen, settings: Settings, model: string): Promise<Job> {
  const { training, validation } = splitExamples(read.examples, settings.holdsOut);
  const trainingFile = await uploadTrainingFile(file.name, new Blob([training]));
  const validationFile =
    validation === '' ? undefined : await uploadTrainingFile(`held-out-${file.name}`, new Blob([validation]));
  const [first] = read.examples;
  if (typeof first?.prompt === 'string') rememberPrompt(trainingFile.id, first.prompt);
  return createJob(toRequest(settings, model, trainingFile.id, validationFile?.id, read.examples.length));
}

/** Validations of a whole job: enough for a curve. */
const VALIDATIONS = 20;

function toRequest(
  settings: Settings,
  model: string,
  training: string,
  validation: string | undefined,
  examples: number,
): NewJob {
  const { name, method, length, init, mlp, learningRate, epochs, batchSize, tooLong } = settings;
  const steps = Math.ceil(examples / Math.max(1, batchSize)) * epochs;
  const startsRandomly = init.trim() === '' || init === 'random';
  return {
    model,
    training_file: training,
    ...(validation !== undefined && { validation_file: validation }),
    ...(name !== '' && { suffix: name }),
    hyperparameters: { n_epochs: epochs, batch_size: batchSize },
    prefix_tuning: {
      method,
      // Words have a length of their own.
      ...(startsRandomly ? { length } : { init }),
      mlp,
      learning_rate: learningRate,
      too_long: tooLong,
      ...(validation !== undefined && { eval_every: Math.max(1, Math.round(steps / VALIDATIONS)) }),
    },
  };
}
