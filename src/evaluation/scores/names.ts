/** What each score is called in tables. */
export const SCORE_LABELS = {
  bleu: 'BLEU',
  e2e_bleu: 'E2E BLEU',
  nist: 'NIST',
  rouge_l: 'ROUGE-L',
  rouge_score_1: 'rouge-score 1',
  rouge_score_2: 'rouge-score 2',
  rouge_score_l: 'rouge-score L',
  rouge_score_lsum: 'rouge-score Lsum',
  rouge_score_1_stem: 'ROUGE-1 (stems)',
  rouge_score_2_stem: 'ROUGE-2 (stems)',
  rouge_score_l_stem: 'ROUGE-L (stems)',
  rouge_score_lsum_stem: 'ROUGE-Lsum (stems)',
  meteor_exact_stem: 'METEOR (exact, stem)',
} as const satisfies Readonly<Record<string, string>>;

/** A score of generated texts; `docs/tuning.md` describes each. */
export type ScoreName = keyof typeof SCORE_LABELS;

/** All scores, in the order of tables. */
export const SCORE_NAMES = Object.keys(SCORE_LABELS) as ScoreName[];

/** Scores of texts that say what a table says. */
const TABLE_SCORES = [
  'bleu',
  'e2e_bleu',
  'nist',
  'rouge_l',
  'rouge_score_l',
  'meteor_exact_stem',
] as const satisfies readonly ScoreName[];

/** Scores of summaries, as papers give them. */
const SUMMARY_SCORES = [
  'rouge_score_1_stem',
  'rouge_score_2_stem',
  'rouge_score_l_stem',
  'rouge_score_lsum_stem',
] as const satisfies readonly ScoreName[];

/** The scores to compute unless others are asked for: those of summaries for an encoder-decoder, of texts about tables for other models. */
export function defaultScores({ sourceLength }: { readonly sourceLength?: number | undefined }): readonly ScoreName[] {
  return sourceLength === undefined ? TABLE_SCORES : SUMMARY_SCORES;
}
