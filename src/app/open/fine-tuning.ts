import { join } from 'node:path';

import { packageRoot } from '../../config/paths.js';
import type { Settings } from '../../config/variables.js';
import { childTrainer } from '../../fine-tuning/child-trainer.js';
import { FineTuning } from '../../fine-tuning/fine-tuning.js';
import { FINE_TUNING, type FineTuningJob } from '../../fine-tuning/job.js';
import { TrainingWork } from '../../fine-tuning/training-work.js';
import { type JobObserver, JobWorker } from '../../jobs/job-worker.js';
import { JobRecovery } from '../../jobs/recovery.js';
import type { OpenFiles } from './files.js';
import { openJobs } from './jobs.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixLibrary } from '../../prefix/library.js';
import { toQuota } from '../../server/prefixes/quota.js';
import type { RedisConnection } from '../../redis/connection.js';
import type { Tenancy } from '../../tenancy/tenancy.js';

/** The program of the process that a job trains in. Tests that run the sources need the build for it. */
const CHILD = join(packageRoot, 'dist/app/training-child.js');

export interface OpenFineTuning {
  readonly fineTuning: FineTuning;
  /** Begins to take jobs, first those that an earlier process left. */
  start(observer: JobObserver): Promise<void>;
  /** Interrupts running jobs at a checkpoint. Later calls return the promise of the first. */
  close(): Promise<void>;
}

export interface FineTuningParts extends OpenFiles {
  readonly base: BaseModel;
  readonly library: PrefixLibrary;
  readonly tenancy: Pick<Tenancy, 'limitsOf'>;
  /** Connection to a store on Redis; undefined on disk. */
  readonly connection: RedisConnection | undefined;
}

type FineTuningSettings = Settings<'model' | 'store' | 'tuning'>;

/** Opens fine-tuning jobs beside the prefixes. */
export async function openFineTuning(config: FineTuningSettings, parts: FineTuningParts): Promise<OpenFineTuning> {
  const { base, library, tenancy, connection, files, store } = parts;
  const { tuningWorkers: workers, tuningLostSeconds: lostSeconds } = config;
  const { fingerprint } = base;
  const running = { inStore: '.fine-tuning/.running', inCache: 'fine-tuning' };
  const options = { connection, fingerprint, workers, lostSeconds, running };
  const { jobs, queue, directory } = await openJobs<FineTuningJob>(config, FINE_TUNING, options);
  const now = Date.now;
  const fineTuning = new FineTuning({
    files,
    store: jobs,
    // Without workers here, those of other processes take the jobs of a Redis.
    queue: workers > 0 || config.store.kind === 'redis' ? queue : undefined,
    fingerprint,
    maxUnfinished: config.maxTuningJobs,
    now,
  });
  const { model, modelName, cache, tuningThreads: threads, tuningNice: nice } = config;
  const recovery = new JobRecovery({ jobs, queue, fingerprint, directory });
  const start = async (observer: JobObserver): Promise<void> => {
    const trainer = childTrainer(CHILD, { model, modelName, cache, threads, nice });
    const quota = async (tenant: string) => toQuota(await tenancy.limitsOf(tenant));
    const { tuningMaxSeconds: maxSeconds } = config;
    const place = config.store.kind === 'file' ? 'PREAMBLE_STORE' : 'PREAMBLE_CACHE';
    const options = { jobs, files: store, library, baseModel: base.id, trainer, quota, maxSeconds, place, now };
    const worker = new JobWorker({ store: jobs, work: new TrainingWork(options), directory, observer, now });
    await recovery.start();
    await queue.work(worker);
  };
  let closed: Promise<void> | undefined;
  return {
    fineTuning,
    start: (observer) => (workers > 0 ? start(observer) : Promise.resolve()),
    close: () => (closed ??= recovery.stop().then(() => queue.close())),
  };
}
