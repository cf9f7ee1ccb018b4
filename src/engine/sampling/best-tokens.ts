import type { TokenLogprob } from '../request.js';
import type { LogitsRow } from './logits-row.js';

/**
 * Best tokens of a place with their natural log-probabilities, best first. Kept as numbers that nothing points to: an answer may hold
 * a million of them, and a garbage collector that follows each would keep everybody waiting.
 */
export class BestTokens implements Iterable<TokenLogprob> {
  /** A log-probability and its id, in turns. */
  readonly #numbers: number[] = [];

  constructor(tokens: Iterable<TokenLogprob>) {
    for (const { id, logprob } of tokens) this.#numbers.push(logprob, id);
  }

  get length(): number {
    return this.#numbers.length / 2;
  }

  *[Symbol.iterator](): Generator<TokenLogprob, undefined> {
    const numbers = this.#numbers;
    for (let at = 0; at < numbers.length; at += 2) yield { id: numbers[at + 1] ?? 0, logprob: numbers[at] ?? NaN };
  }
}

/** The `count` best tokens of a row under the model itself: before temperature and truncation. */
export function bestTokens({ bestIds, bestLogits, lse }: LogitsRow, count: number): TokenLogprob[] {
  return Array.from(bestIds.subarray(0, count), (id, i) => ({ id, logprob: (bestLogits[i] ?? -Infinity) - lse }));
}
