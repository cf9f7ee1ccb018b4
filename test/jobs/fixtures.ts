import type { Worker } from '../../src/jobs/job-queue.js';

/** A worker for a test that no worker dies in. */
export function workerOf(run: Worker['run']): Worker {
  return { run, giveUp: () => Promise.reject(new Error('no worker has died')) };
}
