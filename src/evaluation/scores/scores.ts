import { e2eBleu, sacreBleu } from './bleu.js';
import { cocoRougeL } from './coco-rouge-l.js';
import { meteorExactStem } from './meteor.js';
import type { ScoreName } from './names.js';
import { nist } from './nist.js';
import { rougeScore, type RougeType } from './rouge-score.js';
import type { ScoredText } from './scored-text.js';

/** Scores of generated texts against references, each on the scale of its reference implementation. */
export type TextScores = Readonly<Partial<Record<ScoreName, number>>>;

/** A score of at least one text. */
type Score = (texts: readonly ScoredText[]) => number;

const SCORES: Readonly<Record<ScoreName, Score>> = {
  bleu: sacreBleu,
  e2e_bleu: e2eBleu,
  nist,
  rouge_l: meanOf(cocoRougeL),
  rouge_score_1: meanRouge('rouge1', false),
  rouge_score_2: meanRouge('rouge2', false),
  rouge_score_l: meanRouge('rougeL', false),
  rouge_score_lsum: meanRouge('rougeLsum', false),
  rouge_score_1_stem: meanRouge('rouge1', true),
  rouge_score_2_stem: meanRouge('rouge2', true),
  rouge_score_l_stem: meanRouge('rougeL', true),
  rouge_score_lsum_stem: meanRouge('rougeLsum', true),
  meteor_exact_stem: meanOf(meteorExactStem),
};

/** The scores of those names, of at least one text. ROUGE and METEOR are means over the texts. */
export function scoreTexts(texts: readonly ScoredText[], names: readonly ScoreName[]): TextScores {
  return Object.fromEntries(names.map((name) => [name, SCORES[name](texts)]));
}

function meanRouge(type: RougeType, stem: boolean): Score {
  return meanOf((text) => rougeScore(text, type, stem).fmeasure);
}

function meanOf(score: (text: ScoredText) => number): Score {
  return (texts) => texts.reduce((sum, text) => sum + score(text), 0) / texts.length;
}
