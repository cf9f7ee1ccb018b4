import { isDeepStrictEqual } from 'node:util';

import { median, ratios, spread } from '../report/statistics.js';
import { alignColumns, describePlace, formatMedian, formatSpread } from '../report/text-table.js';
import type { Figure, Finding, Quantity } from '../suite.js';

/** Quantity of two builds, with a value of each for every round. */
export interface Pair extends Omit<Figure, 'value'> {
  readonly ours: readonly number[];
  readonly others: readonly number[];
}

/** Figures of both builds in one round. */
export interface Round {
  readonly ours: readonly Figure[];
  readonly others: readonly Figure[];
}

/** Units of which more is better; less is better of all others. */
const RATES: readonly Quantity['unit'][] = ['tok/s', 'req/s', 'GB/s', 'GFLOP/s'];

/** @throws Error if the builds did not measure the same quantities in every round */
export function pairFigures(rounds: readonly Round[]): Pair[] {
  const quantities = (figures: readonly Figure[]): Omit<Figure, 'value'>[] =>
    figures.map(({ value: _, ...quantity }) => quantity);
  const [expected = []] = rounds.map(({ ours }) => quantities(ours));
  for (const figures of rounds.flatMap(({ ours, others }) => [ours, others])) {
    if (!isDeepStrictEqual(quantities(figures), expected)) throw new Error('the builds measured different quantities');
  }
  return expected.map((quantity, index) => ({
    ...quantity,
    ours: rounds.map(({ ours }) => ours[index]?.value ?? NaN),
    others: rounds.map(({ others }) => others[index]?.value ?? NaN),
  }));
}

/** Both builds' values of each pair, and their ratios round by round. */
export function pairFindings(pairs: readonly Pair[], other: string): Finding[] {
  return pairs.flatMap(({ what, at = {}, unit, ours, others, goal }): Finding[] => [
    { what, at: { ...at, build: 'this' }, unit, values: ours },
    { what, at: { ...at, build: other }, unit, values: others },
    { what: `${what}, this over ${other}`, at, unit: 'x', values: ratios(ours, others), ...(goal && { goal }) },
  ]);
}

/** Pairs for a terminal: medians, and the smallest and largest in brackets. */
export function pairTable(pairs: readonly Pair[], other: string): string {
  const cell = (values: readonly number[]): string => `${formatMedian({ values })} [${formatSpread({ values })}]`;
  const lines = pairs.map((pair) => {
    const { what, unit, ours, others } = pair;
    return [what, describePlace(pair), cell(ours), cell(others), unit, describeRatio(pair)];
  });
  return alignColumns([['', '', 'this', other, '', `this over ${other}`], ...lines], [2, 3, 5]);
}

/** One line about the pair whose median ratio is the least favourable to this build. */
export function worstRatio(pairs: readonly Pair[], other: string): string {
  const worst = pairs.toSorted((a, b) => cost(b) - cost(a))[0];
  if (worst === undefined) return 'Nothing was measured';
  const change = 100 * (cost(worst) - 1);
  const figure = [worst.what, describePlace(worst)].filter(Boolean).join(', ');
  const verdict = `${Math.abs(change).toFixed(1)}% ${change > 0 ? 'worse' : 'better'}`;
  return `Worst of ${pairs.length}: ${figure}; this over ${other} ${describeRatio(worst)}, ${verdict}`;
}

/** Median ratio as something of which less is better. */
function cost({ unit, ours, others }: Pair): number {
  return RATES.includes(unit) ? median(ratios(others, ours)) : median(ratios(ours, others));
}

/** Three decimals: a difference of 2% is to be seen. */
function describeRatio({ ours, others }: Pair): string {
  const values = ratios(ours, others);
  const { min, max } = spread(values);
  return `${median(values).toFixed(3)} [${min.toFixed(3)}-${max.toFixed(3)}]`;
}
