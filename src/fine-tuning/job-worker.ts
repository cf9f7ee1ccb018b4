import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { exists, replaceFile } from '../disk/durable.js';
import { CONFIG_FILE, MODEL_FILE } from '../prefix/adapter/format.js';
import type { PrefixLibrary, PrefixQuota } from '../prefix/library.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import { resultFileId } from '../files/file.js';
import type { FileStore } from '../files/file-store.js';
import { CANCELLABLE, type FineTuningJob, type JobRef, type JobStatus, newEvent, TAKEN } from './job.js';
import { isStoreAway, jobError, SERVER_FAULT } from './job-error.js';
import type { JobOutcome } from './job-queue.js';
import type { JobStore } from './job-store.js';
import { ProgressReporter } from './progress-reporter.js';
import { type Trainer, TrainingCrashedError, type TrainingTask } from './trainer.js';
import { prepareTask } from './prepare-task.js';

/** How often a running job looks whether it was cancelled. Milliseconds. */
const LOOK_EVERY = 1000;
/** How often a job is trained whose process ends by itself: it may have been the machine. */
const ATTEMPTS = 3;

export interface JobWorkerDeps {
  readonly jobs: JobStore;
  readonly files: FileStore;
  readonly library: Pick<PrefixLibrary, 'upload' | 'files'>;
  /** The base model's id. */
  readonly baseModel: string;
  readonly trainer: Trainer;
  /** What a tenant may keep. */
  readonly quota: (tenant: string) => Promise<PrefixQuota>;
  /** How long one job may train. */
  readonly maxSeconds: number;
  /** Where jobs have their files while they run; what is there of an interrupted job, it goes on from. */
  readonly directory: string;
  readonly observer: JobObserver;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** `interrupted`: it will be taken up again. */
export type JobEnd = JobStatus | 'interrupted';

/** Is told of jobs, for metrics and logs. */
export interface JobObserver {
  jobStarted(): void;
  jobEnded(end: JobEnd): void;
  /** A job failed through no fault of its owner's. */
  jobBroke(id: string, error: unknown): void;
}

/** Does jobs: fetches a tenant's file, trains on it, and puts the prefix under the tenant's name. */
export class JobWorker {
  constructor(private readonly deps: JobWorkerDeps) {}

  /**
   * Does one job, or what is left of it. What goes wrong with the job is in its record.
   * @throws StoreError of a store that is away: the job can be done when that is back
   */
  async run(ref: JobRef, leaving: AbortSignal): Promise<JobOutcome> {
    const { directory, observer } = this.deps;
    const job = await this.#take(ref);
    const own = path.join(directory, ref.id);
    if (job === undefined) {
      await fs.rm(own, { recursive: true, force: true }); // it was cancelled, or is done
      return 'done';
    }
    observer.jobStarted();
    let end: JobEnd = 'interrupted';
    try {
      end = await this.#do(ref.tenant, job, own, leaving);
    } finally {
      observer.jobEnded(end);
    }
    if (end === 'interrupted') return 'interrupted';
    await fs.rm(own, { recursive: true, force: true });
    return 'done';
  }

  /** The job, which runs from now on; undefined for one that has ended. One that was finishing is so again: its prefix may be there. */
  async #take({ tenant, id }: JobRef): Promise<FineTuningJob | undefined> {
    const { jobs } = this.deps;
    const job = await jobs.change(tenant, id, CANCELLABLE, { status: 'running' });
    return job ?? jobs.change(tenant, id, ['finishing'], {});
  }

  async #do(tenant: string, job: FineTuningJob, directory: string, leaving: AbortSignal): Promise<JobEnd> {
    const { maxSeconds } = this.deps;
    try {
      const out = path.join(directory, 'out');
      const trained = path.join(directory, 'trained'); // is there once the files of `out` are
      if (!(await exists(trained))) {
        const task = await prepareTask(this.deps, tenant, job, directory);
        const stop = await this.#train(tenant, job, { ...task, out, maxSeconds }, leaving);
        if (stop === 'interrupted') return leaving.aborted ? 'interrupted' : 'cancelled';
        await replaceFile(trained, new Uint8Array());
        if (stop === 'time_limit') {
          const message = `Training was ended after ${maxSeconds} s, which is as long as one job may train here`;
          await whenStoreIsBack(() => this.#event(tenant, job, { level: 'warn', message }), leaving);
        }
      }
      return await whenStoreIsBack(() => this.#finish(tenant, job, out), leaving);
    } catch (error) {
      const problem = jobError(error);
      if (problem === SERVER_FAULT) this.deps.observer.jobBroke(job.id, error);
      await this.#event(tenant, job, { level: 'error', message: problem.message });
      return this.#end(tenant, job, { status: 'failed', error: problem });
    }
  }

  /** Until it is done, cancelled, or this process leaves. */
  async #train(tenant: string, job: FineTuningJob, task: TrainingTask, leaving: AbortSignal): Promise<Stop> {
    const { jobs, trainer, now } = this.deps;
    const cancelled = new AbortController();
    const look = setInterval(() => {
      jobs.get(tenant, job.id).then(
        (found) => (found && TAKEN.includes(found.status)) || cancelled.abort(),
        () => undefined, // the store is away: it is asked again
      );
    }, LOOK_EVERY);
    const reporter = new ProgressReporter(jobs, { tenant, id: job.id }, now);
    await this.#event(tenant, job, { message: 'Training started' });
    try {
      const signal = AbortSignal.any([leaving, cancelled.signal]);
      const onProgress = (line: ProgressLine): void => reporter.report(line);
      for (let attempt = 1; ; attempt++) {
        try {
          return await trainer(task, { signal, onProgress });
        } catch (error) {
          if (!(error instanceof TrainingCrashedError) || attempt === ATTEMPTS) throw error;
          await this.#event(tenant, job, { level: 'warn', message: 'The training process ended; it is started again' });
        }
      }
    } finally {
      clearInterval(look);
      await reporter.settle();
    }
  }

  /**
   * The job is made one that cannot be cancelled first: a cancelled one leaves nothing. Then comes the prefix: a job that says it succeeded
   * has one. Done twice, the prefix is the same.
   */
  async #finish(tenant: string, job: FineTuningJob, out: string): Promise<JobStatus> {
    const { library, quota, files, jobs, now } = this.deps;
    if (!(await jobs.change(tenant, job.id, TAKEN, { status: 'finishing' }))) return 'cancelled';
    const [config, model, curve] = (await Promise.all(
      [CONFIG_FILE, MODEL_FILE, 'curve.jsonl'].map((file) => fs.readFile(path.join(out, file))),
    )) as [Buffer, Buffer, Buffer];
    const { record } = await library.upload(tenant, { name: job.name, config, model }, await quota(tenant));
    const id = resultFileId(job.id);
    if ((await files.get(tenant, id)) === undefined) {
      const filename = `${job.id}-curve.jsonl`;
      const purpose = 'fine-tune-results';
      await files.put(tenant, { id, filename, purpose, bytes: curve.byteLength, created: now() }, curve);
    }
    const fineTunedModel = `${job.name}@${record.version.slice(0, 12)}`;
    const trainedTokens = learnedTokens(curve.toString());
    await this.#event(tenant, job, { message: `New model created: ${fineTunedModel}` });
    return this.#end(tenant, job, { status: 'succeeded', fineTunedModel, trainedTokens, resultFiles: [id] });
  }

  /** How the job ended: so, or as somebody said before. */
  async #end(
    tenant: string,
    job: FineTuningJob,
    change: Parameters<JobStore['change']>[3] & { readonly status: JobStatus },
  ): Promise<JobStatus> {
    const finished = this.deps.now();
    const ended = await this.deps.jobs.change(tenant, job.id, TAKEN, {
      ...change,
      finished,
      estimatedFinish: null,
    });
    return ended?.status ?? 'cancelled';
  }

  #event(tenant: string, job: FineTuningJob, event: Parameters<typeof newEvent>[1]): Promise<void> {
    return this.deps.jobs.addEvent(tenant, job.id, newEvent(this.deps.now(), event));
  }
}

/** Tries again while the store is away, so that what was trained is not trained again. */
async function whenStoreIsBack<T>(work: () => Promise<T>, leaving: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (leaving.aborted || !isStoreAway(error)) throw error;
      await delay(LOOK_EVERY, undefined, { signal: leaving }).catch(() => undefined);
    }
  }
}

/** Tokens that were learned from, over all steps. */
function learnedTokens(curve: string): number {
  const points = curve.split('\n').filter((line) => line !== '');
  return points.reduce((sum, line) => sum + ((JSON.parse(line) as { learned_tokens?: number }).learned_tokens ?? 0), 0);
}
