import type { TokenLogprob } from '../request.js';
import type { LogitsRow } from './logits-row.js';

/**
 * The best tokens of a row with their natural log-probabilities under the model itself, before temperature and truncation; best first. Kept as
 * numbers that nothing points to: an answer may hold a million of them, and a garbage collector that follows each would keep everybody
 * waiting.
 */
export class BestTokens implements Iterable<TokenLogprob> {
  /** A log-probability and its id, in turns. */
  readonly #numbers: number[] = [];

  /** @param count at most; fewer where the row has fewer best ones */
  constructor({ bestIds, bestLogits, lse }: LogitsRow, count: number) {
    bestIds.subarray(0, count).forEach((id, i) => this.#numbers.push((bestLogits[i] ?? -Infinity) - lse, id));
  }

  get length(): number {
    return this.#numbers.length / 2;
  }

  *[Symbol.iterator](): Generator<TokenLogprob, undefined> {
    const numbers = this.#numbers;
    for (let at = 0; at < numbers.length; at += 2) yield { id: numbers[at + 1] ?? 0, logprob: numbers[at] ?? NaN };
  }
}
