import fs from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { ScoredText } from '../../../src/evaluation/scores/scored-text.js';
import { SCORE_NAMES, type ScoreName } from '../../../src/evaluation/scores/names.js';
import { scoreTexts } from '../../../src/evaluation/scores/scores.js';

interface Expected {
  readonly cases: readonly {
    readonly name: string;
    readonly texts: readonly ScoredText[];
    /** Null: the reference divides by zero; ours leaves the term out. */
    readonly scores: Readonly<Record<ScoreName, number | null>>;
  }[];
}

/** What the reference implementations give; made by make.py, which lies beside it. */
const { cases } = JSON.parse(fs.readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Expected;

describe('scores', () => {
  it.each(cases)("are the references' own: $name", ({ texts, scores }) => {
    const found = scoreTexts(texts, SCORE_NAMES);
    expect(Object.keys(found)).toEqual(Object.keys(scores));
    for (const [name, value] of Object.entries(scores)) {
      const score = found[name as ScoreName]!;
      if (value === null) expect(score, name).toBeGreaterThanOrEqual(0);
      else expect(Math.abs(score - value), name).toBeLessThan(1e-9);
    }
  });

  it('are at their best for a reference itself, beside other references (A23)', () => {
    const texts = cases.flatMap((one) => one.texts).filter(({ references }) => references.every((r) => /\w/.test(r)));
    const gold = texts.map(({ references }, i) => ({ hypothesis: references[i % references.length]!, references }));
    const best = scoreTexts(gold, SCORE_NAMES) as Record<ScoreName, number>;
    expect(best.bleu).toBeCloseTo(100, 9);
    const { bleu: _, nist: __, meteor_exact_stem: ___, ...toOne } = best;
    for (const [name, score] of Object.entries(toOne)) expect(score, name).toBeCloseTo(1, 9);
    expect(best.meteor_exact_stem).toBeGreaterThan(0.98); // one chunk of n words costs 0.5 / n^3
    const others = gold.map((text, i) => ({ ...text, hypothesis: gold[(i + 1) % gold.length]!.hypothesis }));
    const worse = scoreTexts(others, SCORE_NAMES);
    for (const name of SCORE_NAMES) expect(worse[name]).toBeLessThan(best[name]);
  });
});
