import { median, spread } from './statistics.js';
import type { Finding, Quantity } from '../suite.js';
import { describeGoal, verdict } from './verdict.js';

/** Findings for a terminal: medians, the smallest and largest in brackets, and the verdicts on the goals. */
export function textTable(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => [
    finding.what,
    describePlace(finding),
    `${formatMedian(finding)} [${formatSpread(finding)}]`,
    finding.unit,
    finding.goal === undefined ? '' : `${finding.goal.id} ${describeGoal(finding.goal)}: ${verdict(finding) ?? ''}`,
  ]);
  return alignColumns(lines, [2]);
}

/** Lines of cells in columns; those whose index is in `right` are aligned to the right. */
export function alignColumns(lines: readonly (readonly string[])[], right: readonly number[]): string {
  const widthOf = (column: number): number => Math.max(...lines.map((line) => line[column]?.length ?? 0));
  const align = (cell: string, column: number): string =>
    right.includes(column) ? cell.padStart(widthOf(column)) : cell.padEnd(widthOf(column));
  return lines.map((line) => line.map(align).join('  ').trimEnd()).join('\n');
}

/** `rows 32`, or nothing. */
export function describePlace({ at = {} }: Pick<Quantity, 'at'>): string {
  return Object.entries(at)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

export function formatMedian({ values }: Pick<Finding, 'values'>): string {
  return format(median(values));
}

/** `smallest-largest`. */
export function formatSpread({ values }: Pick<Finding, 'values'>): string {
  const { min, max } = spread(values);
  return `${format(min)}-${format(max)}`;
}

/** Three figures, and no fraction beyond a thousand. */
export function format(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
