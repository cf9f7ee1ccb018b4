import { e2eBleu, sacreBleu } from './bleu.js';
import { meteorExactStem } from './meteor.js';
import { nist } from './nist.js';
import { cocoRougeL, rougeScoreL } from './rouge-l.js';
import type { ScoredText } from './scored-text.js';

/** Scores of generated texts against references, each on the scale of its reference implementation. */
export interface TextScores {
  /** sacrebleu's BLEU, 0 to 100. */
  readonly bleu: number;
  /** The E2E script's BLEU, 0 to 1. */
  readonly e2e_bleu: number;
  /** The E2E script's NIST, from 0. */
  readonly nist: number;
  /** The E2E script's (COCO's) ROUGE-L, 0 to 1. */
  readonly rouge_l: number;
  /** rouge-score's ROUGE-L: F-measure without stemming, 0 to 1. */
  readonly rouge_score_l: number;
  /** METEOR from exact and stem matches, without synonyms or paraphrases, 0 to 1. */
  readonly meteor_exact_stem: number;
}

/** Scores at least one text. ROUGE and METEOR are means over the texts. */
export function scoreTexts(texts: readonly ScoredText[]): TextScores {
  const mean = (score: (text: ScoredText) => number): number =>
    texts.reduce((sum, text) => sum + score(text), 0) / texts.length;
  return {
    bleu: sacreBleu(texts),
    e2e_bleu: e2eBleu(texts),
    nist: nist(texts),
    rouge_l: mean(cocoRougeL),
    rouge_score_l: mean(rougeScoreL),
    meteor_exact_stem: mean(meteorExactStem),
  };
}
