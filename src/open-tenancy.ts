import { needsKey, tenantDefaults, type Config } from './config.js';
import type { RedisConnection } from './redis/connection.js';
import { RedisRateLimiter } from './redis/rate-limiter.js';
import { RedisTenancyStore } from './redis/tenancy-store.js';
import { FileTenancyStore } from './tenancy/file-store.js';
import { MemoryRateLimiter } from './tenancy/memory-rate-limiter.js';
import type { RateLimiter } from './tenancy/rate-limiter.js';
import { Tenancy } from './tenancy/tenancy.js';

/** Who may send requests, and how many. */
export interface OpenedTenancy {
  readonly tenancy: Tenancy;
  readonly limiter: RateLimiter;
}

/**
 * Opens tenants, keys and rate limits where the settings say that things are kept.
 * @param redis the connection of a store on Redis, which all replicas share
 */
export async function openTenancy(config: Config, redis: RedisConnection | undefined): Promise<OpenedTenancy> {
  const store = redis ? await RedisTenancyStore.open(redis) : await FileTenancyStore.open(directoryOf(config));
  const tenancy = new Tenancy({
    store,
    staticKeys: config.apiKeys,
    defaults: tenantDefaults(config),
    needsKey: needsKey(config),
  });
  return { tenancy, limiter: redis ? new RedisRateLimiter(redis) : new MemoryRateLimiter() };
}

function directoryOf({ store }: Config): string {
  if (store.kind === 'file') return store.directory;
  throw new Error('a store on Redis needs its connection');
}
