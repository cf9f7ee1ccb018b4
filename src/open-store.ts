import type { StoreLocation } from './config.js';
import { FilePrefixStore } from './prefix/file-store.js';
import type { PrefixStore } from './prefix/store.js';
import type { RedisConnection } from './redis/connection.js';

/** Where prefixes live, opened for one base model. */
export interface OpenStore {
  readonly store: PrefixStore;
  /** Of a store on Redis: tenants, keys and rates are there too. */
  readonly connection?: RedisConnection;
  /** Whether the store answers. */
  readonly ready: () => Promise<boolean>;
  readonly close: () => void;
}

/** Opens what PREAMBLE_STORE names. Refuses to start where it cannot; messages do not show the URL. */
export async function openStore(location: StoreLocation, fingerprint: string): Promise<OpenStore> {
  if (location.kind === 'file') {
    const store = await FilePrefixStore.open(location.directory, fingerprint);
    return { store, ready: () => Promise.resolve(true), close: () => undefined };
  }
  const { openRedisStore } = await import('./open-redis.js');
  return openRedisStore(location.url, fingerprint);
}

/** What PREAMBLE_STORE names, without the credentials that a URL may have. */
export function describeStore(store: StoreLocation): string {
  if (store.kind === 'file') return `file:${store.directory}`;
  const { protocol, host, pathname } = new URL(store.url);
  return `${protocol}//${host}${pathname}`;
}
