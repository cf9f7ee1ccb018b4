import { setTimeout as delay } from 'node:timers/promises';

import { FineTuningError } from './errors.js';
import type { Files } from '../files/files.js';
import {
  CANCELLABLE,
  type FineTuningJob,
  isUnfinished,
  type JobEvent,
  type JobRequest,
  newEvent,
  newJobId,
} from './job.js';
import type { JobQueue } from './job-queue.js';
import type { JobStore } from './job-store.js';
import { everything, type Page, type PageOptions } from '../lib/page.js';

/** How often a job that cannot be cancelled just then is tried again. */
const STOP_ATTEMPTS = 50;
/** Milliseconds. */
const STOP_EVERY = 100;

export interface FineTuningDeps {
  readonly files: Pick<Files, 'check'>;
  readonly jobs: JobStore;
  /** Undefined where nobody takes jobs. */
  readonly queue: Pick<JobQueue, 'add'> | undefined;
  /** Of the base model. */
  readonly fingerprint: string;
  /** Most jobs of one tenant that are queued or running. */
  readonly maxUnfinished: number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The fine-tuning jobs of all tenants, as requests use them. Throws `FineTuningError`; a job of another tenant is not found. */
export class FineTuning {
  constructor(private readonly deps: FineTuningDeps) {}

  /** Queues a job. Its file is read by the worker, which finds out what is wrong with it. */
  async createJob(tenant: string, request: Omit<JobRequest, 'name'>): Promise<FineTuningJob> {
    const { files, jobs, queue, fingerprint, maxUnfinished, now } = this.deps;
    if (queue === undefined) throw new FineTuningError('fine_tuning_off', 'This server does not train.');
    const { trainingFile, validationFile } = request;
    await files.check(tenant, trainingFile, 'fine-tune', 'training_file');
    if (validationFile !== null) await files.check(tenant, validationFile, 'fine-tune', 'validation_file');
    const id = newJobId();
    const job: FineTuningJob = {
      ...request,
      id,
      name: request.suffix ?? id,
      fingerprint,
      created: now(),
      status: 'queued',
      finished: null,
      estimatedFinish: null,
      fineTunedModel: null,
      trainedTokens: null,
      resultFiles: [],
      error: null,
    };
    await jobs.add(tenant, job, maxUnfinished);
    await jobs.addEvent(tenant, id, newEvent(now(), { message: `Created fine-tuning job: ${id}` }));
    await queue.add({ tenant, id });
    return job;
  }

  async job(tenant: string, id: string): Promise<FineTuningJob> {
    return (await this.deps.jobs.get(tenant, id)) ?? noJob(id);
  }

  listJobs(tenant: string, options: PageOptions): Promise<Page<FineTuningJob>> {
    return this.deps.jobs.list(tenant, options);
  }

  /** The worker that runs it stops within seconds. Throws `job_finished` for one that has ended or is ending. */
  async cancel(tenant: string, id: string): Promise<FineTuningJob> {
    const { jobs, now } = this.deps;
    const change = { status: 'cancelled', finished: now(), estimatedFinish: null } as const;
    const cancelled = await jobs.change(tenant, id, CANCELLABLE, change);
    if (cancelled) {
      await jobs.addEvent(tenant, id, newEvent(now(), { message: 'The job was cancelled' }));
      return cancelled;
    }
    throw jobFinished(await this.job(tenant, id));
  }

  /** Cancels every job of a tenant that is queued or running. */
  async cancelAll(tenant: string): Promise<void> {
    const jobs = await everything((options) => this.listJobs(tenant, options));
    for (const { id } of jobs.filter(isUnfinished)) await this.#stop(tenant, id);
  }

  /** Deletes all jobs of a tenant, and returns their number. Unfinished jobs belong cancelled first. */
  async deleteAll(tenant: string): Promise<number> {
    const found = await everything((options) => this.listJobs(tenant, options));
    for (const { id } of found) await this.deps.jobs.delete(tenant, id);
    return found.length;
  }

  /** Newest first. */
  async events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>> {
    await this.job(tenant, id);
    return this.deps.jobs.events(tenant, id, options);
  }

  /** Cancels a job, or waits until it has ended: what it was trained to may be on its way to the store just then. */
  async #stop(tenant: string, id: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.cancel(tenant, id);
        return;
      } catch (error) {
        const job = await this.deps.jobs.get(tenant, id);
        if (job === undefined || !isUnfinished(job)) return;
        if (attempt === STOP_ATTEMPTS) throw error;
        await delay(STOP_EVERY);
      }
    }
  }
}

function jobFinished({ status }: FineTuningJob): FineTuningError {
  const problem =
    status === 'finishing'
      ? 'is trained, and its prefix is being stored'
      : `has ${status === 'cancelled' ? 'been ' : ''}${status} already`;
  return new FineTuningError('job_finished', `The job ${problem}.`);
}

function noJob(id: string): never {
  throw new FineTuningError('job_not_found', `There is no fine-tuning job ${id}.`, 'fine_tuning_job_id');
}
