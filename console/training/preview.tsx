import type { VNode } from 'preact';

import type { Me } from '../api/types.js';
import { count } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useLoaded } from '../ui/use-loaded.js';
import type { Example, Examples } from './examples.js';
import { measureLengths } from './lengths.js';

interface PreviewProps {
  readonly read: Examples;
  readonly base: Me['base_model'];
  /** Virtual tokens, which take positions too. */
  readonly length: number;
}

/** Examples that are shown. */
const SHOWN = 3;

/** What was read of a file: how many examples, the first of them as the model will see them, and whether they fit. */
export function Preview({ read, base, length }: PreviewProps): VNode {
  const { examples, problems, badLines } = read;
  const { value: lengths, problem } = useLoaded(() => measureLengths(examples, base.id), read);
  return (
    <div class="preview">
      {problems.length > 0 && (
        <Notice kind="problem">
          <p>{count(badLines, 'line')} cannot be used, and left out:</p>
          <ul>
            {problems.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </Notice>
      )}
      <p>
        <b>{count(examples.length, 'example')}</b>.{' '}
        <Fit
          longest={lengths?.longest}
          base={base}
          length={length}
          isKnown={lengths !== undefined && lengths.byLine.size > 0}
        />
      </p>
      {problem !== undefined && <Notice kind="warning">Lengths could not be measured: {problem}</Notice>}
      <ol class="example-list">
        {examples.slice(0, SHOWN).map((example) => (
          <ExampleView key={example.line} example={example} tokens={lengths?.byLine.get(example.line)} />
        ))}
      </ol>
      <p class="hint">
        The underlined part is learned, with the end of text (■) behind it.{' '}
        {base.architecture === 'decoder'
          ? 'The model goes on from what stands before it, exactly as it stands here.'
          : 'What stands above it is the source, which the encoder reads.'}
      </p>
    </div>
  );
}

interface FitProps {
  readonly longest: number | null | undefined;
  readonly base: Me['base_model'];
  readonly length: number;
  readonly isKnown: boolean;
}

/** Whether the longest example fits the context. */
function Fit({ longest, base, length, isKnown }: FitProps): VNode {
  const isDecoder = base.architecture === 'decoder';
  const room = base.context_length - (isDecoder ? length : 0);
  if (!isKnown) return <span class="quiet">Their lengths are known once training begins.</span>;
  if (!isDecoder)
    return <span class="quiet">The longest has {longest ?? 'too many'} tokens, source and target together.</span>;
  if (longest !== null && longest !== undefined && longest <= room)
    return (
      <span>
        The longest has {longest} of {room} tokens: nothing is cut.
      </span>
    );
  return <strong>The longest has more than the {room} tokens that fit: choose below what becomes of it.</strong>;
}

function ExampleView({ example, tokens }: { example: Example; tokens: number | null | undefined }): VNode {
  return (
    <li>
      {example.messages?.map(({ role, content }, index) => (
        <p key={index} class="message">
          <b>{role}</b> {content}
        </p>
      ))}
      <p class="answer-text example-text">
        {textOf(example.prompt)}
        <ins>{textOf(example.completion)}</ins>
        <span title="end of text">■</span>
      </p>
      {tokens !== undefined && <p class="hint">{tokens === null ? 'more tokens than fit' : count(tokens, 'token')}</p>}
    </li>
  );
}

function textOf(part: Example['prompt']): string {
  return typeof part === 'string' ? part : `[${part.join(', ')}]`;
}
