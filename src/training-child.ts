import { dirname, sep } from 'node:path';

import type { FromChild, ToChild, TrainingModelPlace } from './fine-tuning/child-messages.js';
import type { TrainingTask } from './fine-tuning/trainer.js';
import { openTrainingModel } from './open-training-model.js';
import { PrefixError } from './prefix/errors.js';
import { readExamples } from './tuning/data/read-examples.js';
import { TuningError } from './tuning/errors.js';
import { takePriority } from './tuning/priority.js';
import type { ProgressLine } from './tuning/progress-meter.js';
import { tune, type TuneResult } from './tuning/tune.js';

// The process that one fine-tuning job is trained in: `childTrainer` starts it and talks to it.

const stop = new AbortController();
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') stop.abort();
  else {
    takePriority(message.place.nice);
    void run(message.place, message.task);
  }
});
// The server is gone: the checkpoint is written after the step under way.
process.on('disconnect', () => stop.abort());
// A terminal's Ctrl-C reaches this process too: the server decides.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);

async function run(place: TrainingModelPlace, task: TrainingTask): Promise<void> {
  try {
    await tell({ type: 'done', result: await train(place, task) });
  } catch (error) {
    if (!(error instanceof TuningError || error instanceof PrefixError)) throw error;
    // Files are named as in the job's directory: the path to it is nobody's business.
    await tell({ type: 'refused', message: error.message.replaceAll(`${dirname(task.train)}${sep}`, '') });
  }
  if (process.connected) process.disconnect();
}

async function train(place: TrainingModelPlace, task: TrainingTask): Promise<TuneResult> {
  const { training, base, tokenizer } = await openTrainingModel({ ...place, spin: 'off' }); // others need the cores
  try {
    const { length, maxSteps, patience, ...settings } = task.settings;
    const read = (file: string) => readExamples(file, { format: 'jsonl', separator: '' });
    return await tune({
      model: training,
      base,
      encode: (text) => tokenizer.encode(text),
      settings: {
        ...settings,
        length: length ?? undefined,
        maxSteps: maxSteps ?? undefined,
        patience: patience ?? undefined,
        checkpointEvery: CHECKPOINT_EVERY,
      },
      adapter: task.adapter,
      train: await read(task.train),
      valid: task.valid === undefined ? undefined : await read(task.valid),
      out: task.out,
      signal: stop.signal,
      onProgress: report,
    });
  } finally {
    await training.dispose();
  }
}

/** Steps. */
const CHECKPOINT_EVERY = 100;

let reported = -Infinity;

/** Tells of every validation, and of a step about twice a second: the server has other things to do. */
function report(line: ProgressLine): void {
  if (!('valid_loss' in line.point) && performance.now() - reported < 500) return;
  reported = performance.now();
  void tell({ type: 'progress', line });
}

/** Settles when the message is out; nobody may be there to hear it. */
function tell(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
