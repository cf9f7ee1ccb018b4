import { median } from './statistics.js';
import type { Finding, Goal } from '../suite.js';

/** `>= 0.95` or `<= 5`. */
export function describeGoal({ atLeast, atMost }: Goal): string {
  return [...(atLeast === undefined ? [] : [`>= ${atLeast}`]), ...(atMost === undefined ? [] : [`<= ${atMost}`])].join(
    ', ',
  );
}

/** `met` if the median meets the goal, else the relative difference; undefined without a goal. */
export function verdict({ values, goal }: Finding): string | undefined {
  if (goal === undefined) return undefined;
  const value = median(values);
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  if (Number.isNaN(value)) return 'not measured';
  if (value < atLeast) return `missed by ${percent((atLeast - value) / atLeast)}`;
  if (value > atMost) return `missed by ${percent((value - atMost) / atMost)}`;
  return 'met';
}

/** Percentage of at least 0.1, because `missed by 0%` would say nothing. */
function percent(share: number): string {
  return `${Math.max(share * 100, 0.1).toFixed(share < 0.1 ? 1 : 0)}%`;
}
