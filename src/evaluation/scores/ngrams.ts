/** The words of an n-gram, joined by spaces. (Words contain none.) */
export type Ngram = string;

/** Number of occurrences of each n-gram. */
export function countNgrams(words: readonly string[], n: number): Map<Ngram, number> {
  const counts = new Map<Ngram, number>();
  for (let at = 0; at + n <= words.length; at++) {
    const ngram = words.slice(at, at + n).join(' ');
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/**
 * The n-grams of a hypothesis that also occur in a reference, each counted at most as often as in the reference that
 * has it most.
 */
export function matchNgrams(
  hypothesis: readonly string[],
  references: readonly (readonly string[])[],
  n: number,
): Map<Ngram, number> {
  const counts = references.map((reference) => countNgrams(reference, n));
  const matches = new Map<Ngram, number>();
  for (const [ngram, count] of countNgrams(hypothesis, n)) {
    const most = Math.max(...counts.map((reference) => reference.get(ngram) ?? 0));
    if (most > 0) matches.set(ngram, Math.min(count, most));
  }
  return matches;
}
