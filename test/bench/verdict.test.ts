import { describe, expect, it } from 'vitest';

import type { Finding, Goal } from '../../bench/suite.js';
import { describeGoal, verdict } from '../../bench/report/verdict.js';

const finding = (values: number[], goal?: Goal): Finding => ({ what: 'x', unit: 'x', values, ...(goal && { goal }) });

describe('a verdict', () => {
  it.each([
    [[1.9], { id: 'P1', atLeast: 1.9 }, 'met'],
    [[1, 3, 2], { id: 'P1', atLeast: 1.9 }, 'met'],
    [[1.52], { id: 'P1', atLeast: 1.9 }, 'missed by 20%'],
    [[5], { id: 'P11', atMost: 5 }, 'met'],
    [[0], { id: 'P11', atMost: 5 }, 'met'],
    [[5.1], { id: 'P11', atMost: 5 }, 'missed by 2.0%'],
    [[5.0001], { id: 'P11', atMost: 5 }, 'missed by 0.1%'],
    [[], { id: 'P11', atMost: 5 }, 'not measured'],
  ])('of %j for %j is: %s', (values, goal, expected) => {
    expect(verdict(finding(values, goal))).toBe(expected);
  });

  it('needs a goal', () => {
    expect(verdict(finding([1]))).toBeUndefined();
  });
});

it('describes a goal', () => {
  expect(describeGoal({ id: 'P5', atLeast: 0.95 })).toBe('>= 0.95');
  expect(describeGoal({ id: 'P11', atMost: 5 })).toBe('<= 5');
});
