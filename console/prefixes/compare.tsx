import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { call } from '../api/client.js';
import { messageOf } from '../api/errors.js';
import type { ManyResponse } from '../api/types.js';
import { Field } from '../ui/field.js';
import { shortVersion } from '../ui/format.js';
import { Notice } from '../ui/notice.js';

interface CompareProps {
  readonly name: string;
  /** Id of the base model. */
  readonly base: string;
  /** Newest first. */
  readonly versions: readonly string[];
}

/** Examples that one comparison takes; with two answers each, they fit in one call. */
const MAX_EXAMPLES = 50;
const MAX_TOKENS = 80;

interface Row {
  readonly prompt: string;
  /** What each side says, or why it says nothing. */
  readonly answers: readonly string[];
}

/** Compares two versions, or a version with the base model, on examples that are pasted: what each says greedily. */
export function Compare({ name, base, versions }: CompareProps): VNode {
  const choices = [base, ...versions.map((version) => `${name}@${version}`)];
  const [left, setLeft] = useState(choices[2] ?? base);
  const [right, setRight] = useState(choices[1] ?? base);
  const [examples, setExamples] = useState('');
  const [rows, setRows] = useState<readonly Row[]>([]);
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const prompts = examples.split('\n').filter((line) => line.trim() !== '');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      setRows(await ask(prompts.slice(0, MAX_EXAMPLES), [left, right]));
    } catch (error) {
      setProblem(messageOf(error));
    }
    setBusy(false);
  };
  const side = (label: string, value: string, set: (model: string) => void): VNode => (
    <Field label={label}>
      {(id) => (
        <select id={id} value={value} onChange={({ currentTarget }) => set(currentTarget.value)}>
          {choices.map((choice, index) => (
            <option key={choice} value={choice}>
              {index === 0
                ? `${base} (base)`
                : `${shortVersion(versions[index - 1] ?? '')}${index === 1 ? ' (newest)' : ''}`}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  return (
    <form class="compare" onSubmit={(event) => void submit(event)}>
      <h3>Compare</h3>
      <div class="side-by-side">
        {side('This', left, setLeft)}
        {side('With', right, setRight)}
      </div>
      <Field
        label="Examples"
        hint={`A prompt a line, up to ${MAX_EXAMPLES}. A line break is added to each, and both answer greedily.`}
      >
        {(id, describedBy) => (
          <textarea
            id={id}
            rows={4}
            aria-describedby={describedBy}
            value={examples}
            onInput={({ currentTarget }) => setExamples(currentTarget.value)}
          />
        )}
      </Field>
      <button type="submit" disabled={busy || prompts.length === 0}>
        {busy ? 'Comparing …' : 'Compare'}
      </button>
      {prompts.length > MAX_EXAMPLES && (
        <Notice kind="warning">Only the first {MAX_EXAMPLES} examples are compared.</Notice>
      )}
      {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
      {rows.length > 0 && <Rows rows={rows} />}
    </form>
  );
}

function Rows({ rows }: { rows: readonly Row[] }): VNode {
  return (
    <ol class="comparison" aria-label="Comparison">
      {rows.map(({ prompt, answers }, row) => (
        <li key={row}>
          <p class="said">{prompt}</p>
          <div class="side-by-side">
            {answers.map((answer, index) => (
              <p key={index} class="answer-text">
                {answer}
              </p>
            ))}
          </div>
        </li>
      ))}
    </ol>
  );
}

/** Asks both sides for every prompt, in one call. */
async function ask(prompts: readonly string[], sides: readonly string[]): Promise<Row[]> {
  const requests = prompts.flatMap((prompt, index) =>
    sides.map((model, side) => ({
      custom_id: `${index}.${side}`,
      body: { model, prompt: `${prompt}\n`, max_tokens: MAX_TOKENS, temperature: 0 },
    })),
  );
  const { data } = await call<ManyResponse>('batch/completions', { json: { requests } });
  const answers = data.map(({ response: { body } }) =>
    'error' in body ? body.error.message : (body.choices[0]?.text ?? ''),
  );
  return prompts.map((prompt, index) => ({
    prompt,
    answers: answers.slice(index * sides.length, (index + 1) * sides.length),
  }));
}
