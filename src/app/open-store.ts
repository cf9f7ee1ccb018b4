import { hostname } from 'node:os';
import { join } from 'node:path';

import { ConfigError, type StoreLocation, systemError } from '../config/config.js';
import { makeDirectoryDurably } from '../disk/durable.js';
import { DiskPrefixStore } from '../prefix/on-disk/disk-prefix-store.js';
import type { PrefixStore } from '../prefix/store.js';
import type { RedisConnection } from '../redis/connection.js';
import { type FileLock, FileLockedError, lockFile } from '../runtime/libc/file-lock.js';

/** Held by the server that uses a directory. */
const LOCK_FILE = '.lock';

/** Where prefixes live, opened for one base model. */
export interface OpenStore {
  readonly store: PrefixStore;
  /** Of a store on Redis: tenants, keys and rates are there too. */
  readonly connection?: RedisConnection;
  /** Whether the store answers. */
  readonly ready: () => Promise<boolean>;
  readonly close: () => void;
}

/**
 * Opens what PREAMBLE_STORE names, for a process that serves: a directory is its own until it closes the store. Refuses to start where it
 * cannot; messages do not show the URL.
 * @throws ConfigError when another server uses the directory, and when it cannot be used
 */
export async function openStore(location: StoreLocation, fingerprint: string): Promise<OpenStore> {
  if (location.kind === 'file') return openFileStore(location.directory, fingerprint).catch(refuseDirectory);
  const { openRedisStore } = await import('./open-redis.js');
  return openRedisStore(location.url, fingerprint);
}

/** What PREAMBLE_STORE names, without the credentials that a URL may have. */
export function describeStore(store: StoreLocation): string {
  if (store.kind === 'file') return `file:${store.directory}`;
  const { protocol, host, pathname } = new URL(store.url);
  return `${protocol}//${host}${pathname}`;
}

async function openFileStore(directory: string, fingerprint: string): Promise<OpenStore> {
  const lock = await lockDirectory(directory);
  try {
    const store = await DiskPrefixStore.open(directory, fingerprint);
    return { store, ready: () => Promise.resolve(true), close: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function refuseDirectory(error: unknown): never {
  const failed = systemError(error);
  throw failed === undefined ? error : new ConfigError('PREAMBLE_STORE', failed.message);
}

/** Two servers would replace each other's files of keys, tenants and jobs, which each reads once. */
async function lockDirectory(directory: string): Promise<FileLock> {
  await makeDirectoryDurably(directory);
  try {
    return lockFile(join(directory, LOCK_FILE), `process ${process.pid} on ${hostname()}`);
  } catch (error) {
    if (!(error instanceof FileLockedError)) throw error;
    const problem = `${directory} is used by ${error.holder}; one server at a time may use a directory, several share a Redis`;
    throw new ConfigError('PREAMBLE_STORE', problem);
  }
}
