import fs from 'node:fs/promises';
import { join } from 'node:path';

import { packageRoot, type Config } from './config.js';
import { ifExists } from './disk/durable.js';
import { childTrainer } from './fine-tuning/child-trainer.js';
import { DiskFileStore } from './fine-tuning/disk-file-store.js';
import { DiskJobStore } from './fine-tuning/disk-job-store.js';
import type { TrainingFileStore } from './fine-tuning/file-store.js';
import { FineTuning } from './fine-tuning/fine-tuning.js';
import type { JobQueue } from './fine-tuning/job-queue.js';
import type { JobStore } from './fine-tuning/job-store.js';
import { type JobObserver, JobWorker } from './fine-tuning/job-worker.js';
import { LocalQueue } from './fine-tuning/local-queue.js';
import type { BaseModel } from './prefix/kv.js';
import type { PrefixLibrary } from './prefix/library.js';
import { toQuota } from './server/prefixes/quota.js';
import type { Tenancy } from './tenancy/tenancy.js';

/** The process that jobs are trained in; the build makes it, also for tests that run the sources. */
const CHILD = join(packageRoot, 'dist/training-child.js');

export interface OpenFineTuning {
  readonly fineTuning: FineTuning;
  /** Begins to take jobs, those that an earlier process left first. */
  start(observer: JobObserver): Promise<void>;
  /** Interrupts what is trained here, at a checkpoint. */
  close(): Promise<void>;
}

export interface FineTuningParts {
  readonly base: BaseModel;
  readonly library: PrefixLibrary;
  readonly tenancy: Pick<Tenancy, 'limitsOf'>;
}

/** Where files and jobs are, and what brings the jobs here. */
interface OpenStores {
  /** Of this machine's, where jobs of the store have their files while they run. */
  readonly directory: string;
  readonly files: TrainingFileStore;
  readonly jobs: JobStore;
  readonly queue: JobQueue;
}

/** Opens files and jobs beside the prefixes. */
export async function openFineTuning(config: Config, parts: FineTuningParts): Promise<OpenFineTuning | undefined> {
  const { base, library, tenancy } = parts;
  const { tuningWorkers: workers, maxTrainingFiles: maxFiles, maxTrainingBytes: maxBytes } = config;
  if (config.store.kind !== 'file') return undefined;
  const { directory, files, jobs, queue } = await onDisk(config.store.directory, workers);
  const { fingerprint } = base;
  const now = Date.now;
  const fineTuning = new FineTuning({
    files,
    jobs,
    queue: workers > 0 ? queue : undefined,
    fingerprint,
    quota: { maxFiles, maxBytes },
    maxUnfinished: config.maxTuningJobs,
    now,
  });
  const { model, modelName, cache, tuningThreads: threads, tuningNice: nice } = config;
  const start = async (observer: JobObserver): Promise<void> => {
    const trainer = childTrainer(CHILD, { model, modelName, cache, threads, nice });
    const quota = async (tenant: string) => toQuota(await tenancy.limitsOf(tenant));
    const worker = new JobWorker({
      jobs,
      files,
      library,
      baseModel: base.id,
      trainer,
      quota,
      directory,
      observer,
      now,
    });
    const left = await jobs.unfinished(fingerprint);
    await sweep(
      directory,
      left.map(({ id }) => id),
    );
    for (const job of left) await queue.add(job);
    await queue.work((job, leaving) => worker.run(job, leaving));
  };
  return {
    fineTuning,
    start: (observer) => (workers > 0 ? start(observer) : Promise.resolve()),
    close: () => queue.close(),
  };
}

async function onDisk(directory: string, workers: number): Promise<OpenStores> {
  return {
    directory: join(directory, '.fine-tuning/.running'),
    files: await DiskFileStore.open(directory),
    jobs: await DiskJobStore.open(directory),
    queue: new LocalQueue(workers),
  };
}

/** Removes what jobs left that have ended elsewhere. */
async function sweep(directory: string, unfinished: readonly string[]): Promise<void> {
  for (const id of (await ifExists(fs.readdir(directory))) ?? []) {
    if (!unfinished.includes(id)) await fs.rm(join(directory, id), { recursive: true, force: true });
  }
}
