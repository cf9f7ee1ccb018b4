import { setTimeout as delay } from 'node:timers/promises';

import { ConfigError, type StoreLocation } from './config.js';
import { CachedPrefixStore } from './prefix/cached-store.js';
import { FilePrefixStore } from './prefix/file-store.js';
import type { PrefixStore } from './prefix/store.js';
import { RedisConnection } from './redis/connection.js';
import { RedisRefusedError } from './redis/errors.js';
import { forgetChanges } from './redis/prefix-changes.js';
import { RedisPrefixStore } from './redis/prefix-store.js';

/** How long a health check waits for the store. Milliseconds. */
const PING_TIMEOUT = 500;

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
  const connection = await connect(location.url);
  const store = new CachedPrefixStore(new RedisPrefixStore(connection, fingerprint));
  await forgetChanges(connection, fingerprint, store);
  return { store, connection, ready: () => answers(connection), close: () => connection.close() };
}

/** @throws ConfigError when the credentials are refused */
export async function connect(url: string, variable = 'PREAMBLE_STORE'): Promise<RedisConnection> {
  try {
    return await RedisConnection.open({ url });
  } catch (error) {
    if (error instanceof RedisRefusedError) throw new ConfigError(variable, error.message);
    throw new Error(`${variable}: ${(error as Error).message}`, { cause: error });
  }
}

/** What PREAMBLE_STORE names, without the credentials that a URL may have. */
export function describeStore(store: StoreLocation): string {
  if (store.kind === 'file') return `file:${store.directory}`;
  const { protocol, host, pathname } = new URL(store.url);
  return `${protocol}//${host}${pathname}`;
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
