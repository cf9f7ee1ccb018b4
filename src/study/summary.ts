import type { Trained } from './run.js';
import type { PlannedRun, RunSettings } from './plan.js';

export interface TrainedRun {
  readonly run: PlannedRun;
  readonly trained: Trained;
}

/** Runs that differ in seed and learning rate only. */
export interface Group {
  readonly settings: Omit<RunSettings, 'seed' | 'lr'>;
  /** Rising. */
  readonly rates: readonly Rate[];
  /** The rate that tables and plots show: the one with the lowest mean validation loss. Undefined: none has runs that all ended well. */
  readonly chosen: Rate | undefined;
}

export interface Rate {
  readonly lr: number;
  readonly runs: readonly TrainedRun[];
  /** Mean over the seeds; undefined where there is no validation, or a run diverged. */
  readonly validLoss: number | undefined;
}

/** Mean, standard deviation of the sample (0 of one value), smallest and largest. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

export function groupRuns(runs: readonly TrainedRun[]): Group[] {
  const byKey = gather(runs, ({ run: { settings } }) => JSON.stringify({ ...settings, seed: 0, lr: 0 }));
  return [...byKey.values()].map((group) => {
    const byRate = gather(group, ({ run }) => run.settings.lr);
    const rates = [...byRate].sort(([a], [b]) => a - b).map(([lr, ofRate]) => rateOf(lr, ofRate));
    const { seed: _, lr: __, ...settings } = (group[0] as TrainedRun).run.settings;
    return { settings, rates, chosen: choose(rates) };
  });
}

/** Whether a lower or higher rate than those tried may be better still. */
export function atEdge({ rates, chosen }: Group): boolean {
  return rates.length > 1 && (chosen === rates[0] || chosen === rates.at(-1));
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    deviation: values.length === 1 ? 0 : Math.sqrt(squares / (values.length - 1)),
    low: Math.min(...values),
    high: Math.max(...values),
    count: values.length,
  };
}

function rateOf(lr: number, runs: readonly TrainedRun[]): Rate {
  const losses = runs.flatMap(({ trained }) => trained.valid_loss ?? []);
  return { lr, runs, validLoss: losses.length === runs.length ? spreadOf(losses)?.mean : undefined };
}

function choose(rates: readonly Rate[]): Rate | undefined {
  const ended = rates.filter(({ runs }) => runs.every(({ trained }) => trained.stop !== 'diverged'));
  return ended.reduce<Rate | undefined>(
    (best, rate) => ((rate.validLoss ?? Infinity) < (best?.validLoss ?? Infinity) ? rate : (best ?? rate)),
    undefined,
  );
}

function gather<T, K>(values: readonly T[], keyOf: (value: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}
