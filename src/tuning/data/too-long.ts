import type { TokenEncoder } from '../../tokenizer/token-encoder.js';

/**
 * What becomes of an example that does not fit the model's context: `fail` ends the run, `skip` leaves it out, `cut` shortens its source. A
 * target is never shortened: one that does not fit by itself is left out under `cut` too.
 */
export const TOO_LONG = ['fail', 'skip', 'cut'] as const;
export type TooLong = (typeof TOO_LONG)[number];

/** Counts of examples; each source and target is one. */
export interface TooLongCounts {
  readonly examples: number;
  /** Examples that were left out. */
  readonly skipped: number;
  /** Examples whose source was shortened. */
  readonly cut: number;
}

/** Counts as words, without the subject; undefined where all examples fit. */
export function tooLongWords({ examples, skipped, cut }: TooLongCounts): string | undefined {
  if (skipped + cut === 0) return undefined;
  const parts = [...(skipped > 0 ? [`${skipped} left out`] : []), ...(cut > 0 ? [`${cut} with the source cut`] : [])];
  return `${tooLongOf(skipped + cut, examples)}: ${parts.join(', ')}`;
}

/** `1 of 20 examples is too long`. */
export function tooLongOf(count: number, examples: number): string {
  return `${count} of ${examples} examples ${count === 1 ? 'is' : 'are'} too long`;
}

/** Sides of a source that cutting takes away. */
export type CutSide = 'beginning' | 'end';

/**
 * A part of a text that has more than `tokens` tokens, or the text itself: tokens far beyond those that stay need not be computed, and a
 * text may be of any length.
 */
export function shortened(
  text: string,
  tokens: number,
  cut: CutSide,
  encoder: Pick<TokenEncoder, 'minTokens'>,
): string {
  const enough = 2 * Math.max(0, tokens);
  for (let rest = text; ;) {
    const middle = Math.floor(rest.length / 2);
    const half = cut === 'beginning' ? rest.slice(middle) : rest.slice(0, middle);
    if (encoder.minTokens(half) <= enough) return rest;
    rest = half;
  }
}
