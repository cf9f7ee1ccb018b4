import type { Choice } from './schema.js';

/** A whole choice and its score. */
export interface Candidate {
  readonly choice: Choice;
  /** Mean log-probability of a generated token under the model itself, or the score of a hypothesis. */
  readonly score: number;
}

/**
 * The `n` best of each prompt's `bestOf` choices, best first, equal ones in the order made; all of them, as they are, where `n` is
 * `bestOf`.
 * @param candidates those of the first prompt, then those of the second, and so on
 */
export function keepBest(candidates: readonly Candidate[], n: number, bestOf: number): Choice[] {
  if (bestOf === n) return candidates.map(({ choice }) => choice);
  const prompts = Array.from({ length: candidates.length / bestOf }, (_, i) =>
    candidates.slice(i * bestOf, (i + 1) * bestOf),
  );
  const kept = prompts.flatMap((ones) => ones.toSorted((a, b) => b.score - a.score).slice(0, n));
  return kept.map(({ choice }, index) => ({ ...choice, index }));
}
