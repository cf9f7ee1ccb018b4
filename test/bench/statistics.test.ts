import { expect, it } from 'vitest';

import { median, ratios, spread } from '../../bench/report/statistics.js';

it('takes the middle of odd and even numbers of values', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 100])).toBe(3.5);
  expect(median([])).toBeNaN();
});

it('tells the smallest and the largest', () => {
  expect(spread([3, -1, 2])).toEqual({ min: -1, max: 3 });
  expect(spread([])).toEqual({ min: NaN, max: NaN });
});

it('divides within a round, so that a slow round keeps its ratio', () => {
  expect(ratios([100, 10, 90], [50, 5, 60])).toEqual([2, 2, 1.5]);
  expect(() => ratios([1, 2], [1])).toThrow('2 rounds over 1');
});
