import { porterStem } from './porter.js';
import type { ScoredText } from './scored-text.js';
import { captionWords } from './words.js';

/**
 * Constants of Lavie and Agarwal 2007, with NLTK's values: weight of recall, exponent of the penalty, weight of the
 * penalty.
 */
const [ALPHA, BETA, GAMMA] = [0.9, 3, 0.5];

/**
 * METEOR (Lavie and Agarwal 2007) of one text from exact and stem matches, aligned as NLTK aligns them: the best over
 * the references, 0 to 1. Without synonyms (WordNet) and paraphrases, and not with the weights of METEOR 1.5, which
 * the E2E script uses, so scores are not comparable with that script's.
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

/** Positions of two matching words. */
interface Match {
  readonly hypothesis: number;
  readonly reference: number;
}

/** Matches equal words, then the remaining words by stem. Ordered by position in the hypothesis. */
function align(hypothesis: readonly string[], reference: readonly string[]): Match[] {
  const exact = match(hypothesis, reference, []);
  const matches = match(hypothesis.map(porterStem), reference.map(porterStem), exact);
  return matches.sort((a, b) => a.hypothesis - b.hypothesis);
}

/**
 * Adds matches to `known`, going from the end of the hypothesis: each word takes the last free equal word of the
 * reference.
 */
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

/** Number of runs of matches whose words are adjacent in both texts. */
function countChunks(matches: readonly Match[]): number {
  return matches.filter(({ hypothesis, reference }, at) => {
    const before = matches[at - 1];
    return before?.hypothesis !== hypothesis - 1 || before.reference !== reference - 1;
  }).length;
}
