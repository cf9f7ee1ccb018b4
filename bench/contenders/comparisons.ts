import { ratios } from '../report/statistics.js';
import type { Finding, Goal } from '../suite.js';
import type { Entry, Rounds } from './contender.js';

/** Two contenders whose rates are divided, with the goals by number of rows. */
export interface Comparison {
  readonly above: string;
  readonly below: string;
  readonly goals: Readonly<Record<number, Goal>>;
}

/** The rate of each contender at each of its numbers of rows. */
export function rateFindings(entries: readonly Entry[], rounds: Rounds): Finding[] {
  return entries.flatMap(({ contender: { name }, rows }) =>
    rows.map((count): Finding => ({
      what: name,
      at: { rows: count },
      unit: 'tok/s',
      values: rounds.of(name, count).map((measurement) => measurement.decode),
    })),
  );
}

/** The ratios of rates, round by round, where both contenders of a comparison were measured. */
export function comparisonFindings(
  comparisons: readonly Comparison[],
  entries: readonly Entry[],
  rounds: Rounds,
): Finding[] {
  const rowsOf = (name: string): readonly number[] =>
    entries.find(({ contender }) => contender.name === name)?.rows ?? [];
  return comparisons.flatMap(({ above, below, goals }) =>
    rowsOf(above)
      .filter((rows) => rowsOf(below).includes(rows))
      .map((rows): Finding => {
        const values = ratios(
          rounds.of(above, rows).map(({ decode }) => decode),
          rounds.of(below, rows).map(({ decode }) => decode),
        );
        const goal = goals[rows];
        return { what: `${above} over ${below}`, at: { rows }, unit: 'x', values, ...(goal && { goal }) };
      }),
  );
}
