import { setTimeout as delay } from 'node:timers/promises';

import type { JobRef } from './job.js';
import type { JobQueue, Worker } from './job-queue.js';

/** Pause before a job is tried again whose store was away. */
const RETRY_AFTER_MS = 5000;

/** A queue in the memory of one process: tenants take turns, and the jobs of a tenant are done in order. */
export class LocalQueue implements JobQueue {
  /** Jobs that wait, by tenant; the tenant whose turn it is comes first. */
  readonly #waiting = new Map<string, JobRef[]>();
  readonly #leaving = new AbortController();
  #worker: Worker | undefined;
  /** Ids of the jobs that wait or run. */
  readonly #queued = new Set<string>();
  readonly #running = new Set<Promise<void>>();

  /** @param workers jobs that run at the same time */
  constructor(
    private readonly workers: number,
    private readonly retryAfterMs = RETRY_AFTER_MS,
  ) {}

  async add(job: JobRef): Promise<void> {
    if (this.#queued.has(job.id)) return;
    this.#queued.add(job.id);
    const jobs = this.#waiting.get(job.tenant);
    if (jobs) jobs.push(job);
    else this.#waiting.set(job.tenant, [job]);
    this.#fill();
  }

  async work(worker: Worker): Promise<void> {
    this.#worker = worker;
    this.#fill();
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#running);
  }

  #fill(): void {
    while (this.#worker && this.#running.size < this.workers && !this.#leaving.signal.aborted) {
      const job = this.#takeNext();
      if (job === undefined) return;
      const running = this.#run(job, this.#worker).finally(() => {
        this.#running.delete(running);
        this.#queued.delete(job.id);
        this.#fill();
      });
      this.#running.add(running);
    }
  }

  /** Takes the first job of the tenant whose turn it is; that tenant's next turn comes after the others'. */
  #takeNext(): JobRef | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [tenant, jobs] = first;
    const job = jobs.shift();
    this.#waiting.delete(tenant);
    if (jobs.length > 0) this.#waiting.set(tenant, jobs);
    return job;
  }

  /** Does a job, again and again while its store is away. */
  async #run(job: JobRef, worker: Worker): Promise<void> {
    const leaving = this.#leaving.signal;
    while (!leaving.aborted) {
      try {
        await worker.run(job, leaving);
        return;
      } catch {
        await delay(this.retryAfterMs, undefined, { signal: leaving }).catch(() => undefined);
      }
    }
  }
}
