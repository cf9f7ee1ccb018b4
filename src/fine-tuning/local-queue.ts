import { setTimeout as delay } from 'node:timers/promises';

import type { JobRef } from './job.js';
import type { JobQueue, JobWork } from './job-queue.js';

/** How long a job waits whose store was away. Milliseconds. */
const RETRY_AFTER = 5000;

/**
 * A queue in the memory of one process: tenants take turns, and each has its jobs done in order. What the process had not finished when it
 * ended is added again at its next start, from the store.
 */
export class LocalQueue implements JobQueue {
  /** Jobs that wait, by tenant; the tenant whose turn it is comes first. */
  readonly #waiting = new Map<string, JobRef[]>();
  readonly #leaving = new AbortController();
  #work: JobWork | undefined;
  readonly #running = new Set<Promise<void>>();

  /** @param workers jobs that run at the same time */
  constructor(
    private readonly workers: number,
    private readonly retryAfter = RETRY_AFTER,
  ) {}

  async add(job: JobRef): Promise<void> {
    const jobs = this.#waiting.get(job.tenant);
    if (jobs) jobs.push(job);
    else this.#waiting.set(job.tenant, [job]);
    this.#fill();
  }

  async work(work: JobWork): Promise<void> {
    this.#work = work;
    this.#fill();
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#running);
  }

  #fill(): void {
    while (this.#work && this.#running.size < this.workers && !this.#leaving.signal.aborted) {
      const job = this.#takeNext();
      if (job === undefined) return;
      const running = this.#run(job, this.#work).finally(() => {
        this.#running.delete(running);
        this.#fill();
      });
      this.#running.add(running);
    }
  }

  /** The first job of the tenant whose turn it is; that tenant's next turn comes after the others'. */
  #takeNext(): JobRef | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [tenant, jobs] = first;
    const job = jobs.shift();
    this.#waiting.delete(tenant);
    if (jobs.length > 0) this.#waiting.set(tenant, jobs);
    return job;
  }

  /** A store that is away may come back: the job waits for it. */
  async #run(job: JobRef, work: JobWork): Promise<void> {
    const leaving = this.#leaving.signal;
    while (!leaving.aborted) {
      try {
        await work(job, leaving);
        return;
      } catch {
        await delay(this.retryAfter, undefined, { signal: leaving }).catch(() => undefined);
      }
    }
  }
}
