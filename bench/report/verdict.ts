import { median } from './statistics.js';
import type { Finding, Goal } from '../suite.js';

/** `>= 0.95` or `<= 5`. */
export function describeGoal({ atLeast, atMost }: Goal): string {
  return [...(atLeast === undefined ? [] : [`>= ${atLeast}`]), ...(atMost === undefined ? [] : [`<= ${atMost}`])].join(
    ', ',
  );
}

/** Whether the median keeps to the goal: `met`, or by how much of the goal it does not. Nothing without a goal. */
export function verdict({ values, goal }: Finding): string | undefined {
  if (goal === undefined) return undefined;
  const value = median(values);
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  if (Number.isNaN(value)) return 'not measured';
  if (value < atLeast) return `missed by ${percent((atLeast - value) / atLeast)}`;
  if (value > atMost) return `missed by ${percent((value - atMost) / atMost)}`;
  return 'met';
}

/** Never `0%`: what is missed is missed. */
function percent(share: number): string {
  return `${Math.max(share * 100, 0.1).toFixed(share < 0.1 ? 1 : 0)}%`;
}
