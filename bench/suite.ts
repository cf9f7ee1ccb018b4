import type { Options } from './options.js';
import type { Build } from './process/build.js';

/** One question that the bench answers, in a file of its own under `suites/`. */
export interface Suite {
  /** What the command line calls it. */
  readonly name: string;
  /** The question, in one line. */
  readonly question: string;
  /** Measures and cleans up; says what it is doing through `context.log`. */
  run(context: BenchContext): Promise<Finding[]>;
}

export interface BenchContext {
  readonly options: Options;
  /** The build whose programs are started. */
  readonly build: Build;
  /** A random GPT-2 checkpoint of 124M's shape: everything is measured on these weights. */
  readonly checkpoint: string;
  /** Where compiled models go. */
  readonly cache: string;
  readonly log: (line: string) => void;
  /** Saves what a long suite has found so far, should the run be cut; each call replaces the one before. */
  readonly keep: (findings: readonly Finding[]) => Promise<void>;
}

/** One measured figure, with its spread. */
export interface Finding {
  /** What was measured, such as `server over node-llama-cpp`. */
  readonly what: string;
  /** What it depends on, such as `{ rows: 32 }`: the columns that tell findings of one suite apart. */
  readonly at?: Readonly<Record<string, number | string>>;
  readonly unit: 'tok/s' | 'ms' | 's' | 'MiB' | 'x' | 'GB/s' | 'GFLOP/s' | 'nats' | 'req/s';
  /** One value for each repeat; the median counts. Ratios are taken within a repeat, not between medians. */
  readonly values: readonly number[];
  /** The project's goal for it; nothing where it is for information. */
  readonly goal?: Goal;
}

/** A bound that the project has set itself. */
export interface Goal {
  /** Such as `P1`, of the table in docs/performance.md. */
  readonly id: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}
