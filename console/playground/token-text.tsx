import type { VNode } from 'preact';
import { memo } from '../ui/memo.js';
import { useRef, useState } from 'preact/hooks';

import { type Answer, piecesOf, type Token } from './answer.js';
import { TokenCard } from './token-card.js';

interface TokenTextProps {
  readonly answer: Answer;
  /** What the answer is called, for screen readers. */
  readonly label: string;
  /** Whether tokens are coloured by their probability. */
  readonly coloured: boolean;
}

/** Strengths of the wash: how many steps a probability is rounded to. */
const STEPS = 8;

/**
 * The text of an answer, washed with colour where a token was unlikely. Pointing at a token shows what else might have stood there; with the
 * keyboard, the arrow keys go from token to token.
 */
export function TokenText({ answer, label, coloured }: TokenTextProps): VNode {
  const [chosen, setChosen] = useState<number>();
  const place = useRef<HTMLDivElement>(null);
  const { tokens } = answer;
  if (tokens.length === 0) return <p class="answer-text">{answer.text}</p>;
  const pieces = piecesOf(answer);
  const token = chosen === undefined ? undefined : tokens[chosen];
  const go = (event: KeyboardEvent): void => {
    const last = tokens.length - 1;
    const next = { ArrowRight: (chosen ?? -1) + 1, ArrowLeft: (chosen ?? 1) - 1, Home: 0, End: last }[event.key];
    if (event.key === 'Escape') setChosen(undefined);
    if (next === undefined) return;
    event.preventDefault();
    setChosen(Math.max(0, Math.min(last, next)));
  };
  return (
    <>
      <div
        ref={place}
        class={`answer-text tokens ${coloured ? 'coloured' : ''}`}
        tabIndex={0}
        role="group"
        aria-label={`${label}: ${answer.text}. The arrow keys go from token to token.`}
        onKeyDown={go}
        onBlur={() => setChosen(undefined)}
        onPointerLeave={() => setChosen(undefined)}
        onPointerOver={({ target }) => setChosen(indexOf(target))}
      >
        {pieces.map((piece, index) => (
          <Piece key={index} index={index} text={piece} step={stepOf(tokens[index])} chosen={index === chosen} />
        ))}
      </div>
      {token && chosen !== undefined && <TokenCard token={token} anchor={place.current?.children[chosen]} />}
    </>
  );
}

interface PieceProps {
  readonly index: number;
  readonly text: string;
  readonly step: number;
  readonly chosen: boolean;
}

/** The text of one token. It is not rendered again while the answer grows behind it. The space before a word stays uncoloured: it may end a line. */
const Piece = memo<PieceProps>(({ index, text, step, chosen }) => {
  const space = /^ */.exec(text)?.[0] ?? '';
  return (
    <span class={`t ${chosen ? 'chosen' : ''} ${text === '' ? 'silent' : ''}`} data-index={index}>
      {space}
      <span data-step={step} data-index={index}>
        {text.slice(space.length)}
      </span>
    </span>
  );
});

/** How unlikely a token was, from 0, certain, to `STEPS`. */
function stepOf(token: Token | undefined): number {
  return token === undefined ? 0 : Math.round((1 - Math.exp(token.logprob)) * STEPS);
}

function indexOf(target: EventTarget | null): number | undefined {
  const index = target instanceof HTMLElement ? target.dataset['index'] : undefined;
  return index === undefined ? undefined : Number(index);
}
