import { matchNgrams } from './ngrams.js';
import type { ScoredText } from './scored-text.js';
import { mtevalWords, words13a } from './words.js';

const ORDERS = [1, 2, 3, 4] as const;

/** Counts over a corpus. */
interface Statistics {
  /** Matching n-grams, for n = 1 to 4. */
  readonly hits: readonly number[];
  /** All n-grams of the hypotheses, for n = 1 to 4. */
  readonly totals: readonly number[];
  /** Number of words of the hypotheses. */
  readonly length: number;
  /** Number of words of the references closest to the hypotheses in length. */
  readonly referenceLength: number;
}

/**
 * BLEU as sacrebleu computes it by default: over the corpus, 13a words with their case, exponential smoothing. 0 to
 * 100.
 */
export function sacreBleu(texts: readonly ScoredText[]): number {
  const { hits, totals, length, referenceLength } = count(texts, words13a, (n) => Math.max(0, n));
  if (hits.every((n) => n === 0)) return 0;
  let smoothing = 1;
  const logs = ORDERS.map((_, i) => {
    const [hit = 0, total = 0] = [hits[i], totals[i]];
    if (total === 0) return -Infinity;
    return Math.log((100 * (hit === 0 ? 1 / (smoothing *= 2) : hit)) / total);
  });
  const brevity = length < referenceLength ? Math.exp(1 - referenceLength / length) : 1;
  return brevity * Math.exp(mean(logs));
}

/** Stand-ins for 0 matches and 0 n-grams, so that the logarithm exists. */
const [TINY, SMALL] = [1e-15, 1e-9];

/** BLEU as the E2E script computes it (pymteval): over the corpus, lower-case 13a words, no smoothing. 0 to 1. */
export function e2eBleu(texts: readonly ScoredText[]): number {
  const { hits, totals, length, referenceLength } = count(texts, mtevalWords, (n) => n);
  const logs = ORDERS.map((_, i) => Math.log(Math.max(hits[i] ?? 0, TINY) / Math.max(totals[i] ?? 0, SMALL)));
  const brevity = length <= referenceLength ? Math.exp(1 - referenceLength / length) : 1;
  return brevity * Math.exp(mean(logs));
}

/**
 * @param numNgrams number of n-grams to count for a text, from `length - n + 1`, which is negative for a text of
 * fewer than n - 1 words
 */
function count(
  texts: readonly ScoredText[],
  toWords: (text: string) => string[],
  numNgrams: (x: number) => number,
): Statistics {
  const hits = ORDERS.map(() => 0);
  const totals = ORDERS.map(() => 0);
  let [length, referenceLength] = [0, 0];
  for (const text of texts) {
    const hypothesis = toWords(text.hypothesis);
    const references = text.references.map(toWords);
    ORDERS.forEach((n, i) => {
      for (const matching of matchNgrams(hypothesis, references, n).values()) hits[i] = (hits[i] ?? 0) + matching;
      totals[i] = (totals[i] ?? 0) + numNgrams(hypothesis.length - n + 1);
    });
    length += hypothesis.length;
    referenceLength += closest(
      hypothesis.length,
      references.map((reference) => reference.length),
    );
  }
  return { hits, totals, length, referenceLength };
}

/** The candidate closest to `length`; the shorter of two that are equally close. */
function closest(length: number, candidates: readonly number[]): number {
  const distance = (n: number): number => Math.abs(n - length);
  return candidates.reduce((best, n) => {
    const difference = distance(n) - distance(best);
    return difference < 0 || (difference === 0 && n < best) ? n : best;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
