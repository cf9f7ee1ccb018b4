import { setTimeout as delay } from 'node:timers/promises';

import { everything, type Page, type PageOptions } from '../lib/page.js';
import { JobError } from './errors.js';
import {
  CANCELLABLE,
  isUnfinished,
  type JobChange,
  type JobEvent,
  type JobKind,
  type JobRecord,
  newEvent,
} from './job.js';
import type { JobQueue } from './job-queue.js';
import type { JobStore } from './job-store.js';

/** Attempts to end a job that cannot be cancelled at the moment. */
const STOP_ATTEMPTS = 50;
const STOP_EVERY_MS = 100;

export interface JobsOptions<Job extends JobRecord> {
  readonly kind: JobKind;
  readonly store: JobStore<Job>;
  /** Most unfinished jobs of one tenant. */
  readonly maxUnfinished: number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The jobs of all tenants, of one kind, as requests use them. Throws `JobError`; a job of another tenant is not found. */
export class Jobs<Job extends JobRecord> {
  constructor(private readonly options: JobsOptions<Job>) {}

  /** Stores a job and queues it. */
  protected async add(tenant: string, job: Job, queue: Pick<JobQueue, 'add'>): Promise<void> {
    const { kind, store, maxUnfinished } = this.options;
    await store.add(tenant, job, maxUnfinished);
    await this.#event(tenant, job.id, `Created ${kind.noun}: ${job.id}`);
    await queue.add({ tenant, id: job.id });
  }

  async get(tenant: string, id: string): Promise<Job> {
    const job = await this.options.store.get(tenant, id);
    if (job !== undefined) return job;
    const { noun, param } = this.options.kind;
    throw new JobError('job_not_found', `There is no ${noun} ${id}.`, param);
  }

  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<Job>> {
    return this.options.store.list(tenant, options);
  }

  /** Newest first. */
  async events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>> {
    await this.get(tenant, id);
    return this.options.store.events(tenant, id, options);
  }

  /** Cancels a job; the worker that runs it stops within seconds. Throws `job_finished` for a job that has ended or is ending. */
  async cancel(tenant: string, id: string): Promise<Job> {
    const change: JobChange<JobRecord> = { status: 'cancelled', finished: this.options.now(), estimatedFinish: null };
    const cancelled = await this.options.store.change(tenant, id, CANCELLABLE, change as JobChange<Job>);
    if (cancelled === undefined) throw this.#finished(await this.get(tenant, id));
    await this.#event(tenant, id, 'The job was cancelled');
    return cancelled;
  }

  /** Cancels every unfinished job of a tenant. */
  async cancelAll(tenant: string): Promise<void> {
    const jobs = await everything((options) => this.list(tenant, options));
    for (const { id } of jobs.filter(isUnfinished)) await this.#stop(tenant, id);
  }

  /** Deletes all jobs of a tenant, and returns their number. Unfinished jobs belong cancelled first. */
  async deleteAll(tenant: string): Promise<number> {
    const found = await everything((options) => this.list(tenant, options));
    for (const { id } of found) await this.options.store.delete(tenant, id);
    return found.length;
  }

  /** Cancels a job, or waits until it has ended: its results may be on their way to the store. */
  async #stop(tenant: string, id: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.cancel(tenant, id);
        return;
      } catch (error) {
        const job = await this.options.store.get(tenant, id);
        if (job === undefined || !isUnfinished(job)) return;
        if (attempt === STOP_ATTEMPTS) throw error;
        await delay(STOP_EVERY_MS);
      }
    }
  }

  #finished({ status }: Job): JobError {
    const ended = `has ${status === 'cancelled' ? 'been ' : ''}${status} already`;
    return new JobError('job_finished', `The job ${status === 'finishing' ? this.options.kind.finishing : ended}.`);
  }

  #event(tenant: string, id: string, message: string): Promise<void> {
    const { kind, store, now } = this.options;
    return store.addEvent(tenant, id, newEvent(kind, now(), { message }));
  }
}
