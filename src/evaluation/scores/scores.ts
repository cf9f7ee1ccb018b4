import { e2eBleu, sacreBleu } from './bleu.js';
import { meteorExactStem } from './meteor.js';
import { nist } from './nist.js';
import { cocoRougeL, rougeScoreL } from './rouge-l.js';

/** A text that was generated, and at least one that it is compared with. */
export interface ScoredText {
  readonly hypothesis: string;
  readonly references: readonly string[];
}

/** Scores of generated texts against references, each on its reference implementation's own scale. */
export interface TextScores {
  /** sacrebleu's, 0 to 100. */
  readonly bleu: number;
  /** The E2E script's, 0 to 1. */
  readonly e2e_bleu: number;
  /** The E2E script's, from 0. */
  readonly nist: number;
  /** The E2E script's (COCO's), 0 to 1. */
  readonly rouge_l: number;
  /** rouge-score's F-measure without stemming, 0 to 1. */
  readonly rouge_score_l: number;
  /** Exact and stem matches with METEOR's penalty, no synonyms or paraphrases, 0 to 1. */
  readonly meteor_exact_stem: number;
}

/** Of at least one text; ROUGE and METEOR are means over the texts. */
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
