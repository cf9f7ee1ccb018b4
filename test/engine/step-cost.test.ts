import { expect, test } from 'vitest';

import { StepCost } from '../../src/engine/drafting/step-cost.js';

/** Teaches steps with drafts that cost so much more than steps without. */
function teach(cost: StepCost, rows: number, over: (longest: number, tokens: number) => number, times = 100): void {
  for (let time = 0; time < times; time++) {
    const longest = 2 + (time % 5);
    const tokens = rows + 1 + (time % (rows * (longest - 1)));
    cost.note(longest, tokens, 1 + over(longest, tokens));
  }
}

test('costs come to be those of the steps that were measured', () => {
  for (const rows of [1, 4, 32]) {
    const over = (longest: number, tokens: number): number =>
      0.1 + 0.2 * (longest - 1) + (0.3 * (tokens - rows)) / rows;
    const cost = new StepCost(rows);
    teach(cost, rows, over);
    for (const longest of [2, 3, 5]) {
      expect(cost.of(longest, rows * longest) - 1).toBeCloseTo(over(longest, rows * longest), 1);
    }
  }
});

test('costs follow a machine that becomes slower', () => {
  const cost = new StepCost(1);
  teach(cost, 1, () => 0.1);
  expect(cost.of(4, 4)).toBeCloseTo(1.1, 1);
  teach(cost, 1, () => 0.8, 200);
  expect(cost.of(4, 4)).toBeCloseTo(1.8, 1);
});

test('one step that another program held up changes little', () => {
  const cost = new StepCost(1);
  teach(cost, 1, (longest) => 0.1 * longest);
  const before = cost.of(5, 5);
  cost.note(5, 5, 100);
  expect(cost.of(5, 5)).toBeLessThan(before + 0.1);
});

test('a step with drafts is never taken for cheaper than one without', () => {
  const cost = new StepCost(1);
  teach(cost, 1, () => -0.5);
  expect(cost.of(2, 2)).toBe(1);
});
