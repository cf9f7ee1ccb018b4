import { expect, test } from 'vitest';

import { chooseDraftLengths, type DraftState } from '../../src/engine/policy/draft-lengths.js';

/** Costs of a step on a machine where a token more in the longest row costs 0.05, and any token 0.1. */
const cost = (rows: number) => (longest: number, tokens: number) =>
  1 + 0.05 * (longest - 1) + (0.1 * (tokens - rows)) / rows;

function choose(chances: DraftState['chances'], changes: Partial<DraftState> = {}): readonly number[] | undefined {
  return chooseDraftLengths({ chances, costOf: cost(chances.length), maxTokens: 1000, ...changes })?.lengths;
}

const falling = (chance: number): number[] => Array.from({ length: 8 }, (_, i) => chance ** (i + 1));

test('the surer the guesses, the longer the drafts', () => {
  expect(choose([falling(0.99)])).toEqual([8]);
  expect(choose([falling(0.7)])?.[0]).toBeLessThan(5);
  expect(choose([falling(0.1)])).toBeUndefined();
  expect(choose([[]])).toBeUndefined();
});

test('no draft where verifying costs as much as it promises', () => {
  expect(choose([falling(0.9)], { costOf: (longest) => longest })).toBeUndefined();
  expect(choose([falling(1)], { costOf: (longest) => longest })).toBeUndefined();
});

test('each row has a draft of its own length, and a hopeless one none', () => {
  const lengths = choose([falling(0.99), falling(0.6), []]);
  expect(lengths?.[0]).toBeGreaterThan(lengths?.[1] ?? NaN);
  expect(lengths?.[2]).toBe(0);
});

test('one sure row among many is not worth a step that is longer for all', () => {
  const many = [falling(0.9), ...Array.from({ length: 31 }, () => [])];
  expect(choose(many, { costOf: (longest) => 1 + 0.2 * (longest - 1) })).toBeUndefined();
});

test('a step has no more tokens than it may', () => {
  expect(choose([falling(1), falling(1)], { maxTokens: 7 })?.reduce((sum, length) => sum + length, 2)).toBe(7);
  expect(choose([falling(1), falling(1)], { maxTokens: 2 })).toBeUndefined();
});
