import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { JobError } from './errors.js';
import {
  CANCELLABLE,
  type JobChange,
  type JobEvent,
  type JobKind,
  type JobProblem,
  type JobRecord,
  type JobRef,
  type JobStatus,
  newEvent,
  TAKEN,
  UNFINISHED,
} from './job.js';
import type { JobOutcome, Worker } from './job-queue.js';
import type { JobStore } from './job-store.js';
import { isStoreAway } from './store-away.js';

/** From one look at a running job's status, or at a store that is away, to the next. */
const LOOK_EVERY_MS = 1000;

/** A job that a worker has. */
export interface RunningJob<Job extends JobRecord> {
  readonly tenant: string;
  readonly job: Job;
  /** Holds the job's files while it runs; those of an interrupted job are still there. */
  readonly directory: string;
  /** Aborted when the job is cancelled, or the process is to end. */
  readonly signal: AbortSignal;
  /** Adds an event to the job. */
  readonly tell: (event: Pick<JobEvent, 'message'> & Partial<JobEvent>) => Promise<void>;
}

/** The work of one kind of jobs. */
export interface JobWork<Job extends JobRecord> {
  readonly kind: JobKind;
  /** Does the work. For a job that was interrupted before, does what is left of it. */
  run(running: RunningJob<Job>): Promise<JobOutcome>;
  /** Stores the results, for a job that cannot be cancelled any more, and returns the job's last change. Done twice, the results are the same. */
  finish(running: RunningJob<Job>): Promise<JobChange<Job>>;
  /** The owner's message for an error of the job; undefined for an error of the server. */
  problemOf(error: unknown): JobProblem | undefined;
  /** The owner's message for an error of the server. */
  serverFault(error: unknown): JobProblem;
  /** The owner's message for a job whose workers died. */
  deathProblem(deaths: number): JobProblem;
}

/** `interrupted`: the job will be taken up again. */
export type JobEnd = JobStatus | 'interrupted';

/** Observes jobs, for metrics and logs. */
export interface JobObserver {
  jobStarted(): void;
  jobEnded(end: JobEnd): void;
  /** A job failed through no fault of its owner's. */
  jobBroke(id: string, error: unknown): void;
}

export interface JobWorkerOptions<Job extends JobRecord> {
  readonly store: JobStore<Job>;
  readonly work: JobWork<Job>;
  /** Where jobs have their files while they run, a directory for each. */
  readonly directory: string;
  readonly observer: JobObserver;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Takes jobs from their store through all their statuses. What goes wrong with a job is in its record. */
export class JobWorker<Job extends JobRecord> implements Worker {
  constructor(private readonly options: JobWorkerOptions<Job>) {}

  /**
   * Does one job, or what is left of it.
   * @throws StoreError when a store is away: the job can be done when the store is back
   */
  async run(ref: JobRef, leaving: AbortSignal): Promise<JobOutcome> {
    const { directory, observer } = this.options;
    const job = await this.#take(ref);
    const own = path.join(directory, ref.id);
    if (job === undefined) {
      await fs.rm(own, { recursive: true, force: true }); // it was cancelled, or is done
      return 'done';
    }
    observer.jobStarted();
    let end: JobEnd = 'interrupted';
    try {
      end = await this.#do(ref, job, own, leaving);
    } finally {
      observer.jobEnded(end);
    }
    if (end === 'interrupted') return 'interrupted';
    await fs.rm(own, { recursive: true, force: true });
    return 'done';
  }

  async giveUp(ref: JobRef, deaths: number): Promise<void> {
    const error = this.options.work.deathProblem(deaths);
    const status = await this.#end(ref, 'failed', { error } as JobChange<Job>, UNFINISHED);
    if (status === 'failed') await this.#tell(ref, { level: 'error', message: error.message });
  }

  /** Makes a job `running`; undefined for one that has ended or is damaged. A job that was finishing stays so: its results may be in use. */
  async #take({ tenant, id }: JobRef): Promise<Job | undefined> {
    const { store } = this.options;
    try {
      const job = await store.change(tenant, id, CANCELLABLE, { status: 'running' } as JobChange<Job>);
      return job ?? (await store.change(tenant, id, ['finishing'], {}));
    } catch (error) {
      if (error instanceof JobError && error.code === 'job_damaged') return undefined;
      throw error;
    }
  }

  async #do(ref: JobRef, job: Job, directory: string, leaving: AbortSignal): Promise<JobEnd> {
    const { work, observer } = this.options;
    const { tenant } = ref;
    const cancelled = new AbortController();
    const signal = AbortSignal.any([leaving, cancelled.signal]);
    const tell: RunningJob<Job>['tell'] = (event) => this.#tell(ref, event);
    const running: RunningJob<Job> = { tenant, job, directory, signal, tell };
    try {
      const outcome = await this.#whileTaken(ref, cancelled, () => work.run(running));
      if (outcome === 'interrupted') return leaving.aborted ? 'interrupted' : 'cancelled';
      return await whenStoreIsBack(() => this.#finish(ref, running), leaving);
    } catch (error) {
      if (isStoreAway(error)) throw error;
      const known = work.problemOf(error);
      if (known === undefined) observer.jobBroke(job.id, error);
      const problem = known ?? work.serverFault(error);
      await this.#tell(ref, { level: 'error', message: problem.message });
      return this.#end(ref, 'failed', { error: problem } as JobChange<Job>, TAKEN);
    }
  }

  /** Runs `work`, and aborts `cancelled` once no worker may have the job any more. */
  async #whileTaken<T>({ tenant, id }: JobRef, cancelled: AbortController, work: () => Promise<T>): Promise<T> {
    const look = setInterval(() => {
      this.options.store.get(tenant, id).then(
        (found) => (found && TAKEN.includes(found.status)) || cancelled.abort(),
        () => undefined, // the store is away: it is asked again
      );
    }, LOOK_EVERY_MS);
    try {
      return await work();
    } finally {
      clearInterval(look);
    }
  }

  /**
   * The job is made one that cannot be cancelled first: a cancelled job leaves nothing. Then come the results: a job that says it
   * succeeded has them.
   */
  async #finish(ref: JobRef, running: RunningJob<Job>): Promise<JobStatus> {
    const { store, work } = this.options;
    const { tenant, id } = ref;
    const finishing = await store.change(tenant, id, TAKEN, { status: 'finishing' } as JobChange<Job>);
    if (finishing === undefined) return 'cancelled';
    return this.#end(ref, 'succeeded', await work.finish(running), TAKEN);
  }

  /** Ends the job with a status, or leaves the end that it has already. */
  async #end(ref: JobRef, status: JobStatus, change: JobChange<Job>, from: readonly JobStatus[]): Promise<JobStatus> {
    const { store, now } = this.options;
    const last: JobChange<Job> = { ...change, status, finished: now(), estimatedFinish: null };
    const ended = await store.change(ref.tenant, ref.id, from, last);
    return ended?.status ?? 'cancelled';
  }

  #tell({ tenant, id }: JobRef, event: Pick<JobEvent, 'message'> & Partial<JobEvent>): Promise<void> {
    const { store, work, now } = this.options;
    return store.addEvent(tenant, id, newEvent(work.kind, now(), event));
  }
}

/** Does work that needs a store, again and again while the store is away, so that what a job has done is not done again. */
export async function whenStoreIsBack<T>(work: () => Promise<T>, leaving: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (leaving.aborted || !isStoreAway(error)) throw error;
      await delay(LOOK_EVERY_MS, undefined, { signal: leaving }).catch(() => undefined);
    }
  }
}
