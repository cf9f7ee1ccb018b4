import { countNgrams, matchNgrams, type Ngram } from './ngrams.js';
import type { ScoredText } from './scored-text.js';
import { mtevalWords } from './words.js';

const ORDERS = [1, 2, 3, 4, 5] as const;
/** Chosen so that the length penalty is 0.5 when hypotheses have two thirds of the references' words. */
const BETA = Math.LN2 / Math.log(1.5) ** 2;

/**
 * NIST (Doddington 2002) as the E2E script computes it (pymteval): over the corpus, with n-grams of 1 to 5 lower-case
 * words. From 0.
 */
export function nist(texts: readonly ScoredText[]): number {
  const words = texts.map(({ hypothesis, references }) => ({
    hypothesis: mtevalWords(hypothesis),
    references: references.map(mtevalWords),
  }));
  const information = new Information(words.flatMap(({ references }) => references));
  const terms = ORDERS.map((n) => {
    let [gained, total] = [0, 0];
    for (const { hypothesis, references } of words) {
      total += hypothesis.length - n + 1;
      for (const [ngram, matching] of matchNgrams(hypothesis, references, n)) {
        gained += information.of(ngram, n) * matching;
      }
    }
    return gained === 0 ? 0 : gained / total; // where no text has n words, the script fails
  });
  const length = sum(words.map(({ hypothesis }) => hypothesis.length));
  const expected = sum(words.map(({ references }) => sum(references.map((r) => r.length)) / references.length));
  return lengthPenalty(length / expected) * sum(terms);
}

/** Information content of n-grams, from their frequency in the references. */
class Information {
  readonly #counts: Map<Ngram, number>[];
  readonly #words: number;

  constructor(references: readonly (readonly string[])[]) {
    this.#words = sum(references.map(({ length }) => length));
    this.#counts = ORDERS.map((n) => {
      const counts = new Map<Ngram, number>();
      for (const reference of references) {
        for (const [ngram, count] of countNgrams(reference, n)) counts.set(ngram, (counts.get(ngram) ?? 0) + count);
      }
      return counts;
    });
  }

  /** Bits of information in the last word of an n-gram when the words before are known. */
  of(ngram: Ngram, n: number): number {
    const before = n === 1 ? this.#words : this.#count(ngram.slice(0, ngram.lastIndexOf(' ')), n - 1);
    return Math.log2(before / this.#count(ngram, n));
  }

  #count(ngram: Ngram, n: number): number {
    return this.#counts[n - 1]?.get(ngram) ?? 0;
  }
}

function lengthPenalty(ratio: number): number {
  if (ratio >= 1) return 1;
  return Math.exp(-BETA * Math.log(ratio) ** 2);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
