import { setTimeout as delay } from 'node:timers/promises';

import { FineTuningError } from './errors.js';
import { type FilePurpose, newFileId, type TrainingFile } from './file.js';
import type { FileQuota, FileStream, TrainingFileStore } from './file-store.js';
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
import { everything, type Page, pageOf, type PageOptions } from '../lib/page.js';

/** How often a job that cannot be cancelled just then is tried again. */
const STOP_ATTEMPTS = 50;
/** Milliseconds. */
const STOP_EVERY = 100;

export interface FineTuningDeps {
  readonly files: TrainingFileStore;
  readonly jobs: JobStore;
  /** Undefined where nobody takes jobs. */
  readonly queue: Pick<JobQueue, 'add'> | undefined;
  /** Of the base model. */
  readonly fingerprint: string;
  /** What one tenant may keep. */
  readonly quota: FileQuota;
  /** Most jobs of one tenant that are queued or running. */
  readonly maxUnfinished: number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** A store of files or of jobs. */
interface Emptied {
  list(tenant: string, options: PageOptions): Promise<Page<{ readonly id: string }>>;
  delete(tenant: string, id: string): Promise<boolean>;
}

/** The files and jobs of all tenants, as requests use them. Every method throws `FineTuningError`; another tenant's thing is not found. */
export class FineTuning {
  constructor(private readonly deps: FineTuningDeps) {}

  async addFile(tenant: string, filename: string, content: Uint8Array): Promise<TrainingFile> {
    const { files, quota, now } = this.deps;
    const bytes = content.byteLength;
    const file: TrainingFile = { id: newFileId(), filename, purpose: 'fine-tune', bytes, created: now() };
    await files.put(tenant, file, content, quota);
    return file;
  }

  async file(tenant: string, id: string): Promise<TrainingFile> {
    return (await this.deps.files.get(tenant, id)) ?? noFile(id);
  }

  /** What is in a file, for who takes it little by little. */
  async content(tenant: string, id: string): Promise<FileStream> {
    return (await this.deps.files.stream(tenant, id)) ?? noFile(id);
  }

  /** @param purpose of all files unless given */
  async listFiles(tenant: string, options: PageOptions, purpose?: FilePurpose): Promise<Page<TrainingFile>> {
    const { files } = this.deps;
    if (purpose === undefined) return files.list(tenant, options);
    const all = await everything((page) => files.list(tenant, page));
    return pageOf(
      all.filter((file) => file.purpose === purpose),
      options,
    );
  }

  /** A job that has not begun with the file yet fails. */
  async deleteFile(tenant: string, id: string): Promise<void> {
    if (!(await this.deps.files.delete(tenant, id))) noFile(id);
  }

  /** Queues a job. Its file is read by the worker, which finds out what is wrong with it. */
  async createJob(tenant: string, request: Omit<JobRequest, 'name'>): Promise<FineTuningJob> {
    const { jobs, queue, fingerprint, maxUnfinished, now } = this.deps;
    if (queue === undefined) throw new FineTuningError('fine_tuning_off', 'This server does not train.');
    await this.#checkFile(tenant, 'training_file', request.trainingFile);
    if (request.validationFile !== null) await this.#checkFile(tenant, 'validation_file', request.validationFile);
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

  /** Deletes all jobs and files of a tenant, and returns how many there were. Jobs that are unfinished belong cancelled first. */
  async deleteAll(tenant: string): Promise<number> {
    const { jobs, files } = this.deps;
    return (await empty(jobs, tenant)) + (await empty(files, tenant));
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

  async #checkFile(tenant: string, param: string, id: string): Promise<void> {
    const file = await this.deps.files.get(tenant, id);
    if (file === undefined) throw new FineTuningError('file_not_found', `${param}: there is no file ${id}`, param);
    if (file.purpose !== 'fine-tune') {
      throw new FineTuningError('file_not_found', `${param}: ${id} is no file of purpose fine-tune`, param);
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

/** Deletes all that a tenant has in a store, and returns how much it was. */
async function empty(store: Emptied, tenant: string): Promise<number> {
  const found = await everything((options) => store.list(tenant, options));
  for (const { id } of found) await store.delete(tenant, id);
  return found.length;
}

function noFile(id: string): never {
  throw new FineTuningError('file_not_found', `There is no file ${id}.`, 'file_id');
}

function noJob(id: string): never {
  throw new FineTuningError('job_not_found', `There is no fine-tuning job ${id}.`, 'fine_tuning_job_id');
}
