import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { packageRoot } from '../../config/paths.js';
import type { Settings } from '../../config/variables.js';
import { childTrainer } from '../../fine-tuning/child-trainer.js';
import { DiskFileStore } from '../../files/disk-file-store.js';
import { Files } from '../../files/files.js';
import { FineTuning } from '../../fine-tuning/fine-tuning.js';
import { FINE_TUNING, type FineTuningJob } from '../../fine-tuning/job.js';
import { TrainingWork } from '../../fine-tuning/training-work.js';
import { DiskJobStore } from '../../jobs/disk-job-store.js';
import { type JobObserver, JobWorker } from '../../jobs/job-worker.js';
import { LocalQueue } from '../../jobs/local-queue.js';
import { JobRecovery } from '../../jobs/recovery.js';
import { describeStore } from './store.js';
import type { FineTuningStores } from './opened.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixLibrary } from '../../prefix/library.js';
import { toQuota } from '../../server/prefixes/quota.js';
import type { RedisConnection } from '../../redis/connection.js';
import type { Tenancy } from '../../tenancy/tenancy.js';

/** The program of the process that a job trains in. Tests that run the sources need the build for it. */
const CHILD = join(packageRoot, 'dist/app/training-child.js');

export interface OpenFineTuning {
  readonly files: Files;
  readonly fineTuning: FineTuning;
  /** Begins to take jobs, first those that an earlier process left. */
  start(observer: JobObserver): Promise<void>;
  /** Interrupts running jobs at a checkpoint. Later calls return the promise of the first. */
  close(): Promise<void>;
}

export interface FineTuningParts {
  readonly base: BaseModel;
  readonly library: PrefixLibrary;
  readonly tenancy: Pick<Tenancy, 'limitsOf'>;
  /** Connection to a store on Redis; undefined on disk. */
  readonly connection: RedisConnection | undefined;
}

type FineTuningSettings = Settings<'model' | 'store' | 'tuning'>;

/** Opens files and jobs beside the prefixes. */
export async function openFineTuning(config: FineTuningSettings, parts: FineTuningParts): Promise<OpenFineTuning> {
  const { base, library, tenancy } = parts;
  const { tuningWorkers: workers, maxTrainingFiles: maxFiles, maxTrainingBytes: maxBytes } = config;
  const { fingerprint } = base;
  const { files: store, jobs, queue } = await openStores(config, fingerprint, parts.connection);
  const now = Date.now;
  const files = new Files({ store, quota: { maxFiles, maxBytes }, now });
  const fineTuning = new FineTuning({
    files,
    store: jobs,
    // Without workers here, those of other processes take the jobs of a Redis.
    queue: workers > 0 || config.store.kind === 'redis' ? queue : undefined,
    fingerprint,
    maxUnfinished: config.maxTuningJobs,
    now,
  });
  const directory = scratchOf(config, fingerprint);
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
    files,
    fineTuning,
    start: (observer) => (workers > 0 ? start(observer) : Promise.resolve()),
    close: () => (closed ??= recovery.stop().then(() => queue.close())),
  };
}

async function openStores(
  { store, tuningWorkers: workers, tuningLostSeconds }: Settings<'store' | 'tuning'>,
  fingerprint: string,
  connection: RedisConnection | undefined,
): Promise<FineTuningStores> {
  if (store.kind === 'file') {
    const { directory } = store;
    const [files, jobs] = await Promise.all([
      DiskFileStore.open(directory),
      DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING),
    ]);
    return { files, jobs, queue: new LocalQueue(workers) };
  }
  if (connection === undefined) throw new Error('a store on Redis needs its connection');
  const { openRedisFineTuning } = await import('./redis.js');
  return openRedisFineTuning(connection, { fingerprint, workers, lostAfter: tuningLostSeconds * 1000 });
}

/** Directory of this machine where jobs have their files while they run. */
function scratchOf({ store, cache }: Settings<'model' | 'store'>, fingerprint: string): string {
  if (store.kind === 'file') return join(store.directory, '.fine-tuning/.running');
  const place = createHash('sha256')
    .update(`${describeStore(store)} ${fingerprint}`)
    .digest('hex');
  return join(cache, 'fine-tuning', place.slice(0, 16));
}
