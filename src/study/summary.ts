import { type PlannedGroup, type PlannedRun, searchRuns, seedRuns } from './plan.js';
import type { Trained } from './run.js';

/** A run and the outcome of its training. */
export interface TrainedRun {
  readonly run: PlannedRun;
  readonly trained: Trained;
}

/** A group's results so far. */
export interface Group extends Pick<PlannedGroup, 'settings'> {
  /** Ended runs of the first seed, by rising rate. */
  readonly search: readonly TrainedRun[];
  /** The run of the first seed with the lowest validation loss; undefined when all diverged or none has ended. */
  readonly chosen: TrainedRun | undefined;
  /** Ended runs with the chosen rate, one for each seed. */
  readonly runs: readonly TrainedRun[];
}

/** Mean, sample standard deviation (0 for one value), smallest and largest of `count` values. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/**
 * Collects the results of a group.
 * @param trained runs by name
 */
export function summarise(group: PlannedGroup, trained: ReadonlyMap<string, TrainedRun>): Group {
  const ended = (runs: readonly PlannedRun[]): TrainedRun[] => runs.flatMap(({ name }) => trained.get(name) ?? []);
  const search = ended(searchRuns(group));
  const chosen = search.reduce<TrainedRun | undefined>((best, one) => (better(one, best) ? one : best), undefined);
  return {
    settings: group.settings,
    search,
    chosen,
    runs: chosen ? ended(seedRuns(group, chosen.run.settings.lr)) : [],
  };
}

function better({ trained }: TrainedRun, best: TrainedRun | undefined): boolean {
  if (trained.stop === 'diverged') return false;
  return best === undefined || (trained.valid_loss ?? Infinity) < (best.trained.valid_loss ?? Infinity);
}

/** Whether the chosen rate is the lowest or highest of those tried, so that one beyond might be better still. */
export function atEdge({ search, chosen }: Group): boolean {
  return search.length > 1 && (chosen === search[0] || chosen === search.at(-1));
}

/** Spread of some values; undefined when there are none. */
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
