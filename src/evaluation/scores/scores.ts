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
