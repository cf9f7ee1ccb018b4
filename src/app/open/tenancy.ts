import { needsKey, tenantDefaults } from '../../config/rules.js';
import type { Settings } from '../../config/variables.js';
import type { OpenedTenancyStore } from './opened.js';
import { refuseDirectory } from './refuse-directory.js';
import type { RedisConnection } from '../../redis/connection.js';
import { DiskTenancyStore } from '../../tenancy/disk-tenancy-store.js';
import { MemoryRateLimiter } from '../../tenancy/memory-rate-limiter.js';
import type { RateLimiter } from '../../tenancy/rate-limiter.js';
import { Tenancy } from '../../tenancy/tenancy.js';

/** Tenants with their keys, and their rate limits. */
export interface OpenedTenancy {
  readonly tenancy: Tenancy;
  readonly limiter: RateLimiter;
}

/**
 * Opens tenants, keys and rate limits, on Redis or in the store's directory.
 * @param redis connection to a store on Redis; undefined on disk
 */
export async function openTenancy(
  config: Settings<'store' | 'tenants'>,
  redis: RedisConnection | undefined,
): Promise<OpenedTenancy> {
  const { store, limiter } = redis ? await onRedis(redis) : await onDisk(config);
  const tenancy = new Tenancy({
    store,
    staticKeys: config.apiKeys,
    defaults: tenantDefaults(config),
    needsKey: needsKey(config),
  });
  return { tenancy, limiter };
}

async function onRedis(connection: RedisConnection): Promise<OpenedTenancyStore> {
  const { openRedisTenancy } = await import('./redis.js');
  return openRedisTenancy(connection);
}

async function onDisk(config: Settings<'store'>): Promise<OpenedTenancyStore> {
  const store = await DiskTenancyStore.open(directoryOf(config)).catch(refuseDirectory);
  return { store, limiter: new MemoryRateLimiter() };
}

function directoryOf({ store }: Settings<'store'>): string {
  if (store.kind === 'file') return store.directory;
  throw new Error('a store on Redis needs its connection');
}
