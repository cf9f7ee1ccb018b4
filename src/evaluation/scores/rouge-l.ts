import type { ScoredText } from './scored-text.js';
import { captionWords } from './words.js';

/** Weight of recall relative to precision in COCO's evaluation. */
const BETA = 1.2;

/**
 * ROUGE-L of one text as COCO's caption evaluation (used by the E2E script) computes it, 0 to 1. The best precision
 * and the best recall count, even if they come from different references.
 */
export function cocoRougeL({ hypothesis, references }: ScoredText): number {
  const words = (text: string): string[] => {
    const found = captionWords(text);
    return found.length > 0 ? found : ['']; // there, an empty text has one empty word
  };
  const { precision, recall } = best(words(hypothesis), references.map(words));
  if (precision === 0 || recall === 0) return 0;
  return ((1 + BETA ** 2) * precision * recall) / (recall + BETA ** 2 * precision);
}

/**
 * ROUGE-L of one text as Google's rouge-score computes it without a stemmer: the best F-measure over the references,
 * 0 to 1.
 */
export function rougeScoreL({ hypothesis, references }: ScoredText): number {
  const words = alphanumericWords(hypothesis);
  return Math.max(
    ...references.map((reference) => {
      const { precision, recall } = best(words, [alphanumericWords(reference)]);
      return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
    }),
  );
}

function alphanumericWords(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

function best(
  hypothesis: readonly string[],
  references: readonly (readonly string[])[],
): { precision: number; recall: number } {
  const scores = references.map((reference) => {
    const common = longestCommonSubsequence(hypothesis, reference);
    return { precision: common / (hypothesis.length || 1), recall: common / (reference.length || 1) };
  });
  return {
    precision: Math.max(...scores.map(({ precision }) => precision)),
    recall: Math.max(...scores.map(({ recall }) => recall)),
  };
}

/** Length of the longest common subsequence. */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let above = new Uint32Array(b.length + 1);
  for (const word of a) {
    const row = new Uint32Array(b.length + 1);
    b.forEach((other, j) => {
      row[j + 1] = word === other ? (above[j] ?? 0) + 1 : Math.max(row[j] ?? 0, above[j + 1] ?? 0);
    });
    above = row;
  }
  return above[b.length] ?? 0;
}
