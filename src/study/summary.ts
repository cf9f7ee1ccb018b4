import { type PlannedGroup, type PlannedRun, searchRuns, seedRuns } from './plan.js';
import type { Trained } from './run.js';

export interface TrainedRun {
  readonly run: PlannedRun;
  readonly trained: Trained;
}

/** What is known of a group. */
export interface Group extends Pick<PlannedGroup, 'settings'> {
  /** Those that the first seed has tried, rising. */
  readonly search: readonly TrainedRun[];
  /** The one of the first seed with the lowest validation loss; undefined: all diverged, or none has ended. */
  readonly chosen: TrainedRun | undefined;
  /** The runs of the chosen rate, one for each seed that has ended. */
  readonly runs: readonly TrainedRun[];
}

/** Mean, standard deviation of the sample (0 of one value), smallest and largest. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** @param trained runs by name */
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

/** Whether a lower or higher rate than those tried may be better still. */
export function atEdge({ search, chosen }: Group): boolean {
  return search.length > 1 && (chosen === search[0] || chosen === search.at(-1));
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
