import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { Settings } from '../../config/variables.js';
import { DiskJobResults } from '../../jobs/disk-job-results.js';
import { DiskJobStore } from '../../jobs/disk-job-store.js';
import type { JobKind, JobRecord } from '../../jobs/job.js';
import { LocalQueue } from '../../jobs/local-queue.js';
import type { RedisConnection } from '../../redis/connection.js';
import type { OpenJobs } from './opened.js';
import { describeStore } from './store.js';

export interface JobsOptions {
  /** Connection to a store on Redis; undefined on disk. */
  readonly connection: RedisConnection | undefined;
  /** Of the base model. */
  readonly fingerprint: string;
  /** Jobs that run at the same time in this process. */
  readonly workers: number;
  /** On Redis: silence of a worker after which its job goes to another. */
  readonly lostSeconds: number;
  /** Name of the directory where jobs have their files while they run: hidden in a store on disk, in the cache otherwise. */
  readonly running: { readonly inStore: string; readonly inCache: string };
}

/** Opens the jobs of one kind beside the prefixes. */
export async function openJobs<Job extends JobRecord>(
  config: Settings<'model' | 'store'>,
  kind: JobKind,
  options: JobsOptions,
): Promise<OpenJobs<Job>> {
  const { connection, fingerprint, workers, lostSeconds } = options;
  const { store } = config;
  const directory = scratchOf(config, options);
  if (store.kind === 'file') {
    const jobs = await DiskJobStore.open<Job>(store.directory, kind);
    return { jobs, queue: new LocalQueue(workers), results: new DiskJobResults(directory), directory };
  }
  if (connection === undefined) throw new Error('a store on Redis needs its connection');
  const { openRedisJobs } = await import('./redis.js');
  const opened = await openRedisJobs<Job>(connection, { kind, fingerprint, workers, lostAfter: lostSeconds * 1000 });
  return { ...opened, directory };
}

/** Directory of this machine where jobs have their files while they run. */
function scratchOf({ store, cache }: Settings<'model' | 'store'>, { running, fingerprint }: JobsOptions): string {
  if (store.kind === 'file') return join(store.directory, running.inStore);
  const place = createHash('sha256')
    .update(`${describeStore(store)} ${fingerprint}`)
    .digest('hex');
  return join(cache, running.inCache, place.slice(0, 16));
}
