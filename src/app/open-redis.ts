import { setTimeout as delay } from 'node:timers/promises';

import { ConfigError } from '../config/config.js';
import type { FineTuningStores } from './open-fine-tuning.js';
import type { OpenStore } from './open-store.js';
import { CachedPrefixStore } from '../prefix/cached-store.js';
import type { PrefixArchive } from '../prefix/copy.js';
import { RedisConnection } from '../redis/connection.js';
import { redisFailure, RedisRefusedError } from '../redis/errors.js';
import type { RedisJobQueueOptions } from '../redis/jobs/redis-job-queue.js';
import { RedisJobStore } from '../redis/jobs/redis-job-store.js';
import { RedisPrefixArchive } from '../redis/prefixes/archive.js';
import { forgetChanges } from '../redis/prefixes/changes.js';
import { RedisPrefixStore } from '../redis/prefixes/redis-prefix-store.js';
import { RedisRateLimiter } from '../redis/tenancy/rate-limiter.js';
import { RedisTenancyStore } from '../redis/tenancy/redis-tenancy-store.js';
import { RedisTrainingFileStore } from '../redis/files/redis-file-store.js';
import type { RateLimiter } from '../tenancy/rate-limiter.js';
import type { TenancyStore } from '../tenancy/store.js';

// Everything that is on Redis. Imported only where there is one: loading its client takes a tenth of a second.

/** How long a health check waits for the store. Milliseconds. */
const PING_TIMEOUT = 500;

/** @throws ConfigError when the credentials or the database are refused */
export async function connect(url: string, variable = 'PREAMBLE_STORE'): Promise<RedisConnection> {
  try {
    return await RedisConnection.open({ url });
  } catch (error) {
    throw startError(error, variable);
  }
}

/**
 * Prefixes on Redis, for one base model.
 * @throws ConfigError when the user of the URL may not do what is needed
 */
export async function openRedisStore(url: string, fingerprint: string): Promise<OpenStore> {
  const connection = await connect(url);
  const store = new CachedPrefixStore(new RedisPrefixStore(connection, fingerprint));
  try {
    await forgetChanges(connection, fingerprint, store);
  } catch (error) {
    connection.close();
    throw startError(error, 'PREAMBLE_STORE');
  }
  return { store, connection, ready: () => answers(connection), close: () => connection.close() };
}

/** Tenants, keys and rates that replicas share. */
export async function openRedisTenancy(
  connection: RedisConnection,
): Promise<{ store: TenancyStore; limiter: RateLimiter }> {
  return { store: await RedisTenancyStore.open(connection), limiter: new RedisRateLimiter(connection) };
}

/** Files and jobs that replicas share, and the queue that brings jobs to workers on any of them. */
export async function openRedisFineTuning(
  connection: RedisConnection,
  options: Pick<RedisJobQueueOptions, 'fingerprint' | 'workers' | 'lostAfter'>,
): Promise<FineTuningStores> {
  // BullMQ takes as long to load as the client: whoever needs no jobs does not wait for it.
  const { RedisJobQueue } = await import('../redis/jobs/redis-job-queue.js');
  const jobs = new RedisJobStore(connection);
  return {
    files: new RedisTrainingFileStore(connection),
    jobs,
    queue: new RedisJobQueue({ connection, jobs, ...options }),
  };
}

/** All prefixes on a Redis, and how to leave it. */
export async function openRedisArchive(
  url: string,
  argument: string,
): Promise<{ archive: PrefixArchive; close: () => void }> {
  const connection = await connect(url, argument);
  return { archive: new RedisPrefixArchive(connection), close: () => connection.close() };
}

async function answers({ client, isReady }: RedisConnection): Promise<boolean> {
  if (!isReady) return false;
  const answered = new AbortController();
  const late = delay(PING_TIMEOUT, false, { signal: answered.signal }).catch(() => false);
  try {
    return await Promise.race([client.ping().then(() => true), late]);
  } catch {
    return false;
  } finally {
    answered.abort();
  }
}

/** What ends a start that Redis prevents: names the variable and never shows its URL. */
function startError(error: unknown, variable: string): Error {
  const { message } = error as Error;
  const isRefused = error instanceof RedisRefusedError || redisFailure(error) === 'refused';
  return isRefused ? new ConfigError(variable, message) : new Error(`${variable}: ${message}`, { cause: error });
}
