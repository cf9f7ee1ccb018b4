import { median, spread } from './statistics.js';
import type { Finding } from '../suite.js';
import { describeGoal, verdict } from './verdict.js';

/** Findings for a terminal: medians, with the range of the repeats in brackets, and what became of the goals. */
export function textTable(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => [
    finding.what,
    describePlace(finding),
    `${formatMedian(finding)} [${formatSpread(finding)}]`,
    finding.unit,
    finding.goal === undefined ? '' : `${finding.goal.id} ${describeGoal(finding.goal)}: ${verdict(finding) ?? ''}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 2 ? cell.padStart(widths[2] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `rows 32`, or nothing. */
export function describePlace({ at = {} }: Finding): string {
  return Object.entries(at)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

export function formatMedian({ values }: Finding): string {
  return format(median(values));
}

/** `smallest-largest`. */
export function formatSpread({ values }: Finding): string {
  const { min, max } = spread(values);
  return `${format(min)}-${format(max)}`;
}

/** Three figures, and no fraction beyond a thousand. */
export function format(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
