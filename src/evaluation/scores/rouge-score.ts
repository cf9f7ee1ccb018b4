import { lcsLength, lcsPlaces } from './lcs.js';
import { countNgrams, matchNgrams } from './ngrams.js';
import { porterStem } from './porter.js';
import type { ScoredText } from './scored-text.js';

/** `rouge1` and `rouge2` compare n-grams, `rougeL` whole texts and `rougeLsum` lines by longest common subsequences. */
export type RougeType = 'rouge1' | 'rouge2' | 'rougeL' | 'rougeLsum';

/** Parts of the hypothesis' (precision) and the reference's (recall) words or n-grams that match, and their harmonic mean, 0 to 1. */
export interface Rouge {
  readonly precision: number;
  readonly recall: number;
  readonly fmeasure: number;
}

/**
 * ROUGE of one text as Google's rouge-score computes it: that against the reference with the highest F-measure.
 * @param stem compare stems (rouge-score's `use_stemmer`)
 */
export function rougeScore({ hypothesis, references }: ScoredText, type: RougeType, stem: boolean): Rouge {
  return references
    .map((reference) => scorers[type](linesOf(hypothesis, stem), linesOf(reference, stem)))
    .reduce((best, one) => (one.fmeasure > best.fmeasure ? one : best));
}

/** The words of a text's lines. */
type Lines = readonly (readonly string[])[];

const scorers: Readonly<Record<RougeType, (hypothesis: Lines, reference: Lines) => Rouge>> = {
  rouge1: (hypothesis, reference) => ngramScore(hypothesis.flat(), reference.flat(), 1),
  rouge2: (hypothesis, reference) => ngramScore(hypothesis.flat(), reference.flat(), 2),
  rougeL: (hypothesis, reference) => {
    const [words, others] = [hypothesis.flat(), reference.flat()];
    return toRouge(lcsLength(words, others), words.length, others.length);
  },
  rougeLsum: (hypothesis, reference) =>
    toRouge(countUnionMatches(hypothesis, reference), hypothesis.flat().length, reference.flat().length),
};

function ngramScore(hypothesis: readonly string[], reference: readonly string[], n: number): Rouge {
  const matches = [...matchNgrams(hypothesis, [reference], n).values()].reduce((sum, count) => sum + count, 0);
  const total = ({ length }: readonly string[]): number => Math.max(0, length - n + 1);
  return toRouge(matches, total(hypothesis), total(reference));
}

/**
 * For each line of the reference, its words that are in a longest common subsequence with any line of the hypothesis; each word at most
 * as often as it is in the hypothesis.
 */
function countUnionMatches(hypothesis: Lines, reference: Lines): number {
  const left = countNgrams(hypothesis.flat(), 1);
  let matches = 0;
  for (const line of reference) {
    const places = hypothesis.map((other) => lcsPlaces(line, other));
    for (const word of line.filter((_, at) => places.some((one) => one.has(at)))) {
      const count = left.get(word) ?? 0;
      if (count === 0) continue;
      left.set(word, count - 1);
      matches++;
    }
  }
  return matches;
}

function toRouge(matches: number, hypothesis: number, reference: number): Rouge {
  const [precision, recall] = [matches / Math.max(1, hypothesis), matches / Math.max(1, reference)];
  const fmeasure = matches === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  return { precision, recall, fmeasure };
}

/** Words of ASCII letters and digits in lower case. Those of up to three characters are not stemmed. */
function linesOf(text: string, stem: boolean): string[][] {
  return text.split('\n').map((line) => {
    const words = line.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    return stem ? words.map((word) => (word.length > 3 ? porterStem(word) : word)) : words;
  });
}
