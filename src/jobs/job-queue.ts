import type { JobRef } from './job.js';

/** How a worker left a job: an `interrupted` job is delivered again, to this worker or another. */
export type JobOutcome = 'done' | 'interrupted';

/** Does the jobs that a queue brings. */
export interface Worker {
  /**
   * Does one job. A cancelled job it finds out about by itself, in the store. If it throws, the job is delivered again later.
   * @param leaving aborted when the process is to end or has lost the job: the job is interrupted
   */
  run(job: JobRef, leaving: AbortSignal): Promise<JobOutcome>;
  /** Ends a job whose workers died, `deaths` of them: it will not be delivered again. */
  giveUp(job: JobRef, deaths: number): Promise<void>;
}

/** Brings the jobs of one kind and one base model to workers, each to one worker at a time and until it is `done`; a job may come twice. */
export interface JobQueue {
  /** Adds a job that is in the store; a job that is in the queue keeps its turn. */
  add(job: JobRef): Promise<void>;
  /** Starts to take jobs in this process. */
  work(worker: Worker): Promise<void>;
  /** Takes no more jobs and interrupts those that run here; settles when they have stopped. */
  close(): Promise<void>;
}
