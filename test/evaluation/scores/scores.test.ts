import fs from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { ScoredText } from '../../../src/evaluation/scores/scored-text.js';
import { scoreTexts, type TextScores } from '../../../src/evaluation/scores/scores.js';

interface Expected {
  readonly cases: readonly {
    readonly name: string;
    readonly texts: readonly ScoredText[];
    /** Null: the reference divides by zero; ours leaves the term out. */
    readonly scores: Readonly<Record<keyof TextScores, number | null>>;
  }[];
}

/** What the reference implementations give; made by make.py, which lies beside it. */
const { cases } = JSON.parse(fs.readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Expected;

describe('scores', () => {
  it.each(cases)("are the references' own: $name", ({ texts, scores }) => {
    const found = scoreTexts(texts);
    expect(Object.keys(found)).toEqual(Object.keys(scores));
    for (const [name, value] of Object.entries(scores)) {
      const score = found[name as keyof TextScores];
      if (value === null) expect(score, name).toBeGreaterThanOrEqual(0);
      else expect(Math.abs(score - value), name).toBeLessThan(1e-9);
    }
  });

  it('are at their best for a reference itself, beside other references (A23)', () => {
    const texts = cases.flatMap((one) => one.texts).filter(({ references }) => references.every((r) => /\w/.test(r)));
    const gold = texts.map(({ references }, i) => ({ hypothesis: references[i % references.length]!, references }));
    const best = scoreTexts(gold);
    expect(best.bleu).toBeCloseTo(100, 9);
    for (const score of [best.e2e_bleu, best.rouge_l, best.rouge_score_l]) expect(score).toBeCloseTo(1, 9);
    expect(best.meteor_exact_stem).toBeGreaterThan(0.98); // one chunk of n words costs 0.5 / n^3
    const worse = scoreTexts(gold.map((text, i) => ({ ...text, hypothesis: gold[(i + 1) % gold.length]!.hypothesis })));
    for (const name of Object.keys(best) as (keyof TextScores)[]) expect(worse[name]).toBeLessThan(best[name]);
  });
});
