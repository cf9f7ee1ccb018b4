import { lcsLength } from './lcs.js';
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

function best(
  hypothesis: readonly string[],
  references: readonly (readonly string[])[],
): { precision: number; recall: number } {
  const scores = references.map((reference) => {
    const common = lcsLength(hypothesis, reference);
    return { precision: common / (hypothesis.length || 1), recall: common / (reference.length || 1) };
  });
  return {
    precision: Math.max(...scores.map(({ precision }) => precision)),
    recall: Math.max(...scores.map(({ recall }) => recall)),
  };
}
