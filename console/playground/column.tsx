import type { VNode } from 'preact';

import { Notice } from '../ui/notice.js';
import { type Answer, speedOf } from './answer.js';
import { ModelPicker } from './model-picker.js';
import type { Exchange } from './requests.js';
import { TokenTape } from './token-tape.js';
import { TokenText } from './token-text.js';

interface ColumnProps {
  /** From 1. */
  readonly number: number;
  readonly model: string;
  readonly models: readonly string[];
  /** Undefined before the first run. */
  readonly answer: Answer | undefined;
  /** Of a conversation, what came before. */
  readonly exchanges: readonly Exchange[];
  /** Of a conversation, what the present answer answers. */
  readonly said: string | undefined;
  /** Milliseconds that the width of the tape stands for. */
  readonly span: number;
  readonly coloured: boolean;
  readonly choose: (model: string) => void;
  /** Undefined: it is the only column. */
  readonly remove: (() => void) | undefined;
}

/** One column: what it asks, its answer as it comes, and how fast it came. */
export function Column(props: ColumnProps): VNode {
  const { number, model, models, answer, exchanges, said, span, coloured, choose, remove } = props;
  const label = `Answer of ${model}`;
  return (
    <section class={`column ${answer?.status ?? 'empty'}`} aria-label={`Column ${number}: ${model}`}>
      <header>
        <ModelPicker label={`Model of column ${number}`} value={model} models={models} choose={choose} />
        {remove && (
          <button type="button" class="plain" aria-label={`Remove column ${number}`} onClick={remove}>
            <span aria-hidden="true">×</span>
          </button>
        )}
      </header>
      <TokenTape arrivals={answer?.arrivals ?? []} span={span} />
      <div class="answer" aria-busy={answer?.status === 'streaming'}>
        {exchanges.map((exchange, index) => (
          <div key={index} class="exchange">
            <p class="said">{exchange.said}</p>
            <p class="answer-text">{exchange.answered}</p>
          </div>
        ))}
        {said !== undefined && answer && <p class="said">{said}</p>}
        {answer && <TokenText answer={answer} label={label} coloured={coloured} />}
        {answer?.status === 'waiting' && <span class="quiet">…</span>}
        {answer?.problem !== undefined && <Notice kind="problem">{answer.problem}</Notice>}
      </div>
      <footer>{answer && <Facts answer={answer} />}</footer>
    </section>
  );
}

const ENDS = { stop: 'ended', length: 'cut at its longest' } as const;

/** Speed, length and end of an answer. */
function Facts({ answer }: { answer: Answer }): VNode {
  const { firstToken, perSecond } = speedOf(answer);
  const { arrivals, finishReason, status } = answer;
  const end = finishReason === undefined ? (status === 'stopped' ? 'stopped' : undefined) : ENDS[finishReason];
  const facts: readonly (readonly [string, string, string | undefined])[] = [
    ['tok/s', 'Tokens a second after the first', perSecond?.toFixed(perSecond < 100 ? 1 : 0)],
    ['ms to first', 'Milliseconds to the first token', firstToken?.toFixed(0)],
    ['tokens', 'Tokens of the answer', arrivals.length > 0 ? String(arrivals.length) : undefined],
  ];
  return (
    <>
      {facts.map(([unit, meaning, value]) =>
        value === undefined ? null : (
          <span key={unit} title={meaning}>
            <b>{value}</b> {unit}
          </span>
        ),
      )}
      {end !== undefined && (
        <span class="end" title={finishReason === undefined ? undefined : `finish_reason: ${finishReason}`}>
          {end}
        </span>
      )}
    </>
  );
}
