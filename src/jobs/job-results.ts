import type { JobRef } from './job.js';

/** Sums of what results count, by name. */
export type Counts = Readonly<Record<string, number>>;

/** One of the results of a job that has many parts. */
export interface JobResult {
  /** Number of the part, from 1. A part has one result: a second is dropped. */
  readonly number: number;
  /** Name of the list that the result is in: a word of small letters. */
  readonly list: string;
  /** One line, without its line break. */
  readonly text: string;
  /** Added to the job's counts. */
  readonly counts: Counts;
}

/**
 * Place where running jobs keep the results of their parts, so that a job goes on from there when its process is killed. A result is
 * there whole or not at all. Every method throws `StoreError`.
 */
export interface JobResultStore {
  /** Opens the results of a job that a worker has. */
  open(job: JobRef): Promise<OpenResults>;
  /** Deletes the results of a job; does nothing where there are none. */
  delete(job: JobRef): Promise<void>;
}

/** The results of one job. One worker at a time adds to them; what one adds that has lost the job does no harm. */
export interface OpenResults {
  /** Whether a part has its result. One that another worker has added since they were opened may be unknown. */
  has(number: number): boolean;
  /** Sums over all results. */
  counts(): Promise<Counts>;
  /** Adds results; settles when they are safe. What comes for a job that does not run any more is dropped. */
  add(results: readonly JobResult[]): Promise<void>;
  /** Reads the texts of one list, each with a line break, in any order. */
  read(list: string): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Adds counts to sums. */
export function addCounts(sums: Record<string, number>, counts: Counts): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
}
