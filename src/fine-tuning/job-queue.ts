import type { JobRef } from './job.js';

/** How a worker left a job: `interrupted` jobs are delivered again, to this worker or another. */
export type JobOutcome = 'done' | 'interrupted';

/**
 * Does one job. A cancelled job it finds out about by itself, in the store.
 * @param leaving the worker is to end: the job is interrupted at the next step
 */
export type JobWork = (job: JobRef, leaving: AbortSignal) => Promise<JobOutcome>;

/** Brings the jobs of one base model to workers, each to one worker at a time and until it is `done`; a job may come twice. */
export interface JobQueue {
  /** Adds a job that is in the store. */
  add(job: JobRef): Promise<void>;
  /** From now on this process takes jobs. */
  work(work: JobWork): Promise<void>;
  /** Takes no more jobs and interrupts those that run here; settles when they have stopped. */
  close(): Promise<void>;
}
