import { stemmer } from 'stemmer';

import type { ScoredText } from './scores.js';
import { captionWords } from './words.js';

/** Of Lavie and Agarwal 2007, as NLTK has them: weight of recall, and form and weight of the penalty. */
const [ALPHA, BETA, GAMMA] = [0.9, 3, 0.5];

/**
 * METEOR (Lavie and Agarwal 2007) of one text by exact and stem matches, aligned as NLTK aligns them; the best over the references,
 * 0 to 1. There are no synonyms (WordNet) and no paraphrases, and the weights are not those of METEOR 1.5, the E2E script's: the
 * numbers compare with each other and not with that script's.
 */
export function meteorExactStem({ hypothesis, references }: ScoredText): number {
  const words = captionWords(hypothesis);
  return Math.max(...references.map((reference) => score(words, captionWords(reference))));
}

function score(hypothesis: readonly string[], reference: readonly string[]): number {
  const matches = align(hypothesis, reference);
  if (matches.length === 0) return 0;
  const precision = matches.length / hypothesis.length;
  const recall = matches.length / reference.length;
  const mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall);
  return mean * (1 - GAMMA * (countChunks(matches) / matches.length) ** BETA);
}

/** Places of two words that match. */
interface Match {
  readonly hypothesis: number;
  readonly reference: number;
}

/** Matches words, then stems of the words that are left; in the order of the hypothesis. */
function align(hypothesis: readonly string[], reference: readonly string[]): Match[] {
  const exact = match(hypothesis, reference, []);
  const matches = match(hypothesis.map(stemmer), reference.map(stemmer), exact);
  return matches.sort((a, b) => a.hypothesis - b.hypothesis);
}

/** Adds matches to those that are `known`, from the end: each word takes the last place of its like that is free. */
function match(hypothesis: readonly string[], reference: readonly string[], known: readonly Match[]): Match[] {
  const taken = new Set(known.map((one) => one.hypothesis));
  const used = new Set(known.map((one) => one.reference));
  const free = new Map<string, number[]>();
  reference.forEach((word, j) => {
    if (!used.has(j)) free.set(word, [...(free.get(word) ?? []), j]);
  });
  const added = hypothesis.toReversed().flatMap((word, fromEnd): Match[] => {
    const i = hypothesis.length - 1 - fromEnd;
    const j = taken.has(i) ? undefined : free.get(word)?.pop();
    return j === undefined ? [] : [{ hypothesis: i, reference: j }];
  });
  return [...known, ...added];
}

/** Runs of words that stand side by side in both texts. */
function countChunks(matches: readonly Match[]): number {
  return matches.filter(({ hypothesis, reference }, at) => {
    const before = matches[at - 1];
    return before?.hypothesis !== hypothesis - 1 || before.reference !== reference - 1;
  }).length;
}
