import fs from 'node:fs';

import { describe, expect, it } from 'vitest';

import { porterStem } from '../../../src/evaluation/scores/porter.js';
import { rougeScore, type RougeType } from '../../../src/evaluation/scores/rouge-score.js';
import type { ScoredText } from '../../../src/evaluation/scores/scored-text.js';

/** Precision, recall and F-measure. */
type Scores = Readonly<Record<RougeType, readonly [number, number, number]>>;

interface Expected {
  readonly texts: readonly (ScoredText & { readonly words: Scores; readonly stems: Scores })[];
  readonly stems: Readonly<Record<string, string>>;
}

/** What rouge-score and NLTK give; made by make_rouge.py, which lies beside it. */
const { texts, stems } = JSON.parse(fs.readFileSync(new URL('rouge.json', import.meta.url), 'utf8')) as Expected;

describe('rougeScore', () => {
  it.each(['words', 'stems'] as const)("is rouge-score's, with its precision and recall: %s", (units) => {
    for (const text of texts) {
      for (const [type, [precision, recall, fmeasure]] of Object.entries(text[units])) {
        const found = rougeScore(text, type as RougeType, units === 'stems');
        const what = `${type} of ${JSON.stringify(text.hypothesis)}`;
        expect(Math.abs(found.precision - precision), what).toBeLessThan(1e-9);
        expect(Math.abs(found.recall - recall), what).toBeLessThan(1e-9);
        expect(Math.abs(found.fmeasure - fmeasure), what).toBeLessThan(1e-9);
      }
    }
  });

  it('takes no time for long words and lines', () => {
    const hypothesis = `${'y'.repeat(50_000)}ing\n${'boat '.repeat(1000)}`;
    const started = performance.now();
    expect(rougeScore({ hypothesis, references: [hypothesis] }, 'rougeLsum', true).fmeasure).toBe(1);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('porterStem', () => {
  it("gives NLTK's stems", () => {
    const words = Object.keys(stems);
    expect(Object.fromEntries(words.map((word) => [word, porterStem(word)]))).toEqual(stems);
  });
});
