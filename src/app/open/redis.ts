import { setTimeout as delay } from 'node:timers/promises';

import { ConfigError } from '../../config/error.js';
import type { FileStore } from '../../files/file-store.js';
import type { JobRecord } from '../../jobs/job.js';
import type { JobStores, OpenedArchive, OpenedStore, OpenedTenancyStore } from './opened.js';
import { readStoreTls, type StoreTls } from './store-tls.js';
import type { StoreErrorReason } from '../../lib/store-error.js';
import { StoreHealth } from '../../lib/store-health.js';
import { CachedPrefixStore } from '../../prefix/cached-store.js';
import { RedisConnection } from '../../redis/connection.js';
import { redisFailure, RedisRefusedError } from '../../redis/errors.js';
import type { RedisJobQueueOptions } from '../../redis/jobs/redis-job-queue.js';
import { RedisJobResults } from '../../redis/jobs/redis-job-results.js';
import { RedisJobStore } from '../../redis/jobs/redis-job-store.js';
import { RedisPrefixArchive } from '../../redis/prefixes/archive.js';
import { forgetChanges } from '../../redis/prefixes/changes.js';
import { RedisSeedMarker } from '../../redis/prefixes/seed-marker.js';
import { RedisPrefixStore } from '../../redis/prefixes/redis-prefix-store.js';
import { requireRights } from '../../redis/rights.js';
import { RedisRateLimiter } from '../../redis/tenancy/rate-limiter.js';
import { RedisTenancyStore } from '../../redis/tenancy/redis-tenancy-store.js';
import { RedisFileStore } from '../../redis/files/redis-file-store.js';

// Opens parts on Redis. Imported only where one is needed: loading the client takes a tenth of a second.

/** How long a health check waits for the store. */
const READY_TIMEOUT_MS = 500;

/**
 * Connects to the Redis in PREAMBLE_STORE, and tries the rights that a server needs. Errors name the variable and never show its URL.
 * @throws ConfigError when a setting, or what Redis allows, must change before this can succeed
 */
export async function connect(url: string, tls: StoreTls): Promise<RedisConnection> {
  const connection = await open(url, tls, 'PREAMBLE_STORE');
  try {
    await requireRights(connection);
    return connection;
  } catch (error) {
    connection.close();
    throw startError(error, 'PREAMBLE_STORE');
  }
}

/** Opens the prefixes of one base model on Redis. @throws ConfigError as `connect` */
export async function openRedisStore(url: string, fingerprint: string, tls: StoreTls): Promise<OpenedStore> {
  const connection = await connect(url, tls);
  const store = new CachedPrefixStore(new RedisPrefixStore(connection, fingerprint));
  try {
    await forgetChanges(connection, fingerprint, store);
  } catch (error) {
    connection.close();
    throw startError(error, 'PREAMBLE_STORE');
  }
  const seeded = new RedisSeedMarker(connection, fingerprint);
  const health = new StoreHealth(() => connection.isWorking());
  connection.onFailure((failure) => health.failed(failure));
  const ready = async (): Promise<boolean> => !health.isFailing && (await worksAtOnce(connection));
  const close = (): void => {
    health.close();
    connection.close();
  };
  return { store, seeded, connection, health, ready, close };
}

/** Opens the tenants, keys and rate limits that replicas share. */
export async function openRedisTenancy(connection: RedisConnection): Promise<OpenedTenancyStore> {
  return { store: await RedisTenancyStore.open(connection), limiter: new RedisRateLimiter(connection) };
}

/** Opens the files that replicas share. */
export function openRedisFiles(connection: RedisConnection): FileStore {
  return new RedisFileStore(connection);
}

/** Opens the jobs of one kind that replicas share, and the queue that brings jobs to workers of any replica. */
export async function openRedisJobs<Job extends JobRecord>(
  connection: RedisConnection,
  options: Omit<RedisJobQueueOptions, 'connection' | 'retryAfter'>,
): Promise<JobStores<Job>> {
  // Loaded here: BullMQ takes as long to load as the client, and not every process needs jobs.
  const { RedisJobQueue } = await import('../../redis/jobs/redis-job-queue.js');
  return {
    jobs: new RedisJobStore<Job>(connection, options.kind),
    results: new RedisJobResults(connection, options.kind),
    queue: new RedisJobQueue({ connection, ...options }),
  };
}

/** Opens all prefixes on a Redis. @param argument stands for the URL in messages */
export async function openRedisArchive(url: string, argument: string, tls: StoreTls): Promise<OpenedArchive> {
  const connection = await open(url, tls, argument);
  return { archive: new RedisPrefixArchive(connection), close: () => connection.close() };
}

async function open(url: string, tls: StoreTls, variable: string): Promise<RedisConnection> {
  const files = url.startsWith('rediss:') ? readStoreTls(tls) : undefined;
  try {
    return await RedisConnection.open({ url, tls: files });
  } catch (error) {
    throw startError(error, variable);
  }
}

async function worksAtOnce(connection: RedisConnection): Promise<boolean> {
  const answered = new AbortController();
  const late = delay(READY_TIMEOUT_MS, false, { signal: answered.signal }).catch(() => false);
  try {
    return await Promise.race([connection.isWorking(), late]);
  } finally {
    answered.abort();
  }
}

/** Why Redis refuses to open, where the URL or what its user may do must change first. */
const REFUSALS: ReadonlySet<StoreErrorReason | undefined> = new Set(['refused', 'forbidden']);

/** The error of a start that Redis prevents, with the variable's name instead of its URL. */
function startError(error: unknown, variable: string): Error {
  const { message } = error as Error;
  const isRefused = error instanceof RedisRefusedError || REFUSALS.has(redisFailure(error));
  return isRefused ? new ConfigError(variable, message) : new Error(`${variable}: ${message}`, { cause: error });
}
