import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { ApiFailure, messageOf } from '../api/errors.js';
import { uploadAdapter, uploadText } from '../api/prefixes.js';
import type { Prefix } from '../api/types.js';
import { hrefOf } from '../app/route.js';
import { DropZone } from '../ui/drop-zone.js';
import { Field } from '../ui/field.js';
import { count, formatBytes } from '../ui/format.js';
import { Notice } from '../ui/notice.js';

interface UploadProps {
  /** Called when a prefix was stored. */
  readonly changed: () => Promise<void>;
}

/** What was wrong with an upload, by field; `''` is for what belongs to none. */
type Problems = Readonly<Record<string, string>>;

interface Files {
  readonly config?: File;
  readonly model?: File;
  /** Optional. */
  readonly template?: File;
}

const FIELDS = ['name', 'placement', 'adapter_config', 'adapter_model', 'chat_template', 'text'];

/** Stores a prefix: the two files that PEFT wrote, or a text. What the server refuses stands at the field that it is about. */
export function Upload({ changed }: UploadProps): VNode {
  const [kind, setKind] = useState<'files' | 'text'>('files');
  const [name, setName] = useState('');
  const [text, setText] = useState('');
  const [files, setFiles] = useState<Files>({});
  const [infix, setInfix] = useState(false);
  const [problems, setProblems] = useState<Problems>({});
  const [stored, setStored] = useState<Prefix>();
  const [busy, setBusy] = useState(false);
  const take = (dropped: readonly File[]): void => {
    const sorted = sortFiles(dropped);
    setFiles((before) => ({ ...before, ...sorted.files }));
    setProblems(sorted.problem === undefined ? {} : { adapter_config: sorted.problem });
    setStored(undefined);
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const { config, model, template } = files;
    const missing = missingOf(kind, name, text, files);
    setProblems(missing);
    setStored(undefined);
    if (Object.keys(missing).length > 0) return;
    setBusy(true);
    try {
      const prefix =
        kind === 'files' && config && model
          ? await uploadAdapter({ name, placement: infix ? 'infix' : 'prefix', config, model, template })
          : await uploadText(name, text);
      setStored(prefix);
      setFiles({});
      await changed();
    } catch (error) {
      setProblems(problemsOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="upload" noValidate onSubmit={(event) => void submit(event)}>
      <h2>A new prefix</h2>
      <fieldset class="segments">
        <legend class="visually-hidden">Made from</legend>
        {(['files', 'text'] as const).map((one) => (
          <label key={one}>
            <input type="radio" name="kind" checked={one === kind} onChange={() => setKind(one)} />
            {one === 'files' ? 'Files of PEFT' : 'A text'}
          </label>
        ))}
      </fieldset>
      <Field label="Name" hint="A name that is taken gets a new version." problem={problems['name']}>
        {(id, describedBy) => (
          <input
            id={id}
            aria-describedby={describedBy}
            spellcheck={false}
            autocomplete="off"
            placeholder="users/alice"
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        )}
      </Field>
      {kind === 'files' ? (
        <>
          <DropZone label="Choose files" accept=".json,.safetensors,.jinja" multiple take={take}>
            Drop <code>adapter_config.json</code> and <code>adapter_model.safetensors</code> here
          </DropZone>
          <ChosenFile title="adapter_config" file={files.config} problem={problems['adapter_config']} />
          <ChosenFile title="adapter_model" file={files.model} problem={problems['adapter_model']} />
          {(files.template ?? problems['chat_template']) !== undefined && (
            <ChosenFile title="chat_template" file={files.template} problem={problems['chat_template']} />
          )}
          <label class="check">
            <input type="checkbox" checked={infix} onChange={({ currentTarget }) => setInfix(currentTarget.checked)} />
            Infix: stands before the prompt’s last token
          </label>
          {problems['placement'] !== undefined && <p class="field-problem">{problems['placement']}</p>}
        </>
      ) : (
        <Field label="Text" hint="Stands before every prompt. Nothing is trained." problem={problems['text']}>
          {(id, describedBy) => (
            <textarea
              id={id}
              rows={5}
              aria-describedby={describedBy}
              value={text}
              onInput={({ currentTarget }) => setText(currentTarget.value)}
            />
          )}
        </Field>
      )}
      {problems[''] !== undefined && <Notice kind="problem">{problems['']}</Notice>}
      <button type="submit" class="primary" disabled={busy}>
        {busy ? 'Storing …' : 'Store'}
      </button>
      {stored && <Stored prefix={stored} />}
    </form>
  );
}

function ChosenFile({
  title,
  file,
  problem,
}: {
  title: string;
  file: File | undefined;
  problem: string | undefined;
}): VNode {
  return (
    <div class="chosen-file">
      <span class={file ? '' : 'quiet'}>
        {title}: {file ? `${file.name}, ${formatBytes(file.size)}` : 'not chosen'}
      </span>
      {problem !== undefined && (
        <p class="field-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function Stored({ prefix }: { prefix: Prefix }): VNode {
  return (
    <Notice kind="good">
      Stored as <a href={hrefOf('prefixes', new URLSearchParams({ name: prefix.name }))}>{prefix.name}</a>,{' '}
      {count(prefix.num_virtual_tokens, 'virtual token')}.
      {prefix.warnings.map((warning) => (
        <p key={warning}>{warning}</p>
      ))}
    </Notice>
  );
}

/** Tells the files of an adapter apart by their names' endings. */
function sortFiles(dropped: readonly File[]): { files: Files; problem?: string } {
  const config = dropped.find(({ name }) => name.endsWith('.json'));
  const model = dropped.find(({ name }) => name.endsWith('.safetensors'));
  const template = dropped.find(({ name }) => name.endsWith('.jinja'));
  const others = dropped.filter((file) => file !== config && file !== model && file !== template);
  const files = { ...(config && { config }), ...(model && { model }), ...(template && { template }) };
  if (others.length === 0) return { files };
  const names = others.map(({ name }) => `“${name}”`).join(', ');
  return {
    files,
    problem: `${names}: not taken. A prefix is one .json and one .safetensors file, and may have a chat template, .jinja.`,
  };
}

function missingOf(kind: 'files' | 'text', name: string, text: string, { config, model }: Files): Problems {
  return {
    ...(name === '' && { name: 'Give it a name.' }),
    ...(kind === 'files' && !config && { adapter_config: 'Choose adapter_config.json.' }),
    ...(kind === 'files' && !model && { adapter_model: 'Choose adapter_model.safetensors.' }),
    ...(kind === 'text' && text === '' && { text: 'Write a text.' }),
  };
}

function problemsOf(error: unknown): Problems {
  const param = error instanceof ApiFailure ? (error.param ?? '').split(/[.[]/)[0] : '';
  return { [param !== undefined && FIELDS.includes(param) ? param : '']: messageOf(error) };
}
