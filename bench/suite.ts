import type { Options } from './options.js';
import type { Build } from './process/build.js';

/** One question that the bench answers, in a file of its own under `suites/`. */
export interface Suite {
  /** Name on the command line. */
  readonly name: string;
  /** The question, in one line. */
  readonly question: string;
  /** Measures and cleans up; reports progress through `context.log`. */
  run(context: BenchContext): Promise<Finding[]>;
  /** Opens the context's build for `--beside`; absent if the suite measures modules of this checkout, not programs. */
  open?(context: BenchContext): Promise<Probe>;
}

/**
 * A build under measurement, reached only through what every commit has: HTTP, the command line and the system's accounts of its
 * processes.
 */
export interface Probe {
  /**
   * Steps of a round, each of them as short as it can be: the other build's same step is the next thing that is measured.
   * Round 0 warms up.
   */
  readonly steps: readonly ((round: number) => Promise<Figure[]>)[];
  close(): Promise<void>;
}

export interface BenchContext {
  readonly options: Options;
  /** The build whose programs are started. */
  readonly build: Build;
  /** Directory of a random GPT-2 checkpoint of 124M's shape, the model of almost all suites. */
  readonly checkpoint: string;
  /** Values of a virtual token of that model: its key and value in every layer. */
  readonly prefixColumns: number;
  /** Directory for compiled models. */
  readonly cache: string;
  readonly log: (line: string) => void;
  /** Saves the findings so far, in case the run is interrupted; each call replaces the last one's. */
  readonly keep: (findings: readonly Finding[]) => Promise<void>;
}

/** Quantity that was measured, and where. */
export interface Quantity {
  /** Such as `server over node-llama-cpp`. */
  readonly what: string;
  /** Conditions, such as `{ rows: 32 }`: the columns that tell findings of one suite apart. */
  readonly at?: Readonly<Record<string, number | string>>;
  readonly unit: 'tok/s' | 'ms' | 's' | 'MiB' | 'x' | 'GB/s' | 'GFLOP/s' | 'nats' | 'req/s';
}

/** Quantity with one value. */
export interface Figure extends Quantity {
  readonly value: number;
  /** The project's goal for the median ratio of this build's values over another commit's; absent if there is none. */
  readonly goal?: Goal;
}

/** Quantity with a value for each round. */
export interface Finding extends Quantity {
  /** The median counts. Ratios are taken within a round, not between medians. */
  readonly values: readonly number[];
  /** The project's goal for the median; absent if the finding is for information. */
  readonly goal?: Goal;
}

/** Bound that the project has set itself. */
export interface Goal {
  /** Number in the table of docs/performance.md, such as `P1`. */
  readonly id: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}
