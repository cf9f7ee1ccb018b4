import { hostname } from 'node:os';
import { join } from 'node:path';

import type { OpenedStore } from './opened.js';
import { refuseDirectory } from './refuse-directory.js';
import type { StoreTls } from './store-tls.js';
import { DiskSeedMarker } from '../seed.js';
import { ConfigError } from '../../config/error.js';
import type { StoreLocation } from '../../config/parsers.js';
import { makeDirectoryDurably } from '../../disk/durable.js';
import { DiskPrefixStore } from '../../prefix/on-disk/disk-prefix-store.js';
import { type FileLock, FileLockedError, lockFile } from '../../runtime/libc/file-lock.js';

/** Name of the file that the server which uses a directory locks. */
const LOCK_FILE = '.lock';

/**
 * Opens the store that PREAMBLE_STORE names, for a process that serves. A directory belongs to the process until the store is closed.
 * Messages never show the URL.
 * @param tls for `rediss://` only
 * @throws ConfigError when another server uses the directory, and when the store cannot be used as the settings are
 */
export async function openStore(
  location: StoreLocation,
  fingerprint: string,
  tls: StoreTls = {},
): Promise<OpenedStore> {
  if (location.kind === 'file') return openDiskStore(location.directory, fingerprint).catch(refuseDirectory);
  const { openRedisStore } = await import('./redis.js');
  return openRedisStore(location.url, fingerprint, tls);
}

/** The text of PREAMBLE_STORE, without the credentials that a URL may have. */
export function describeStore(store: StoreLocation): string {
  if (store.kind === 'file') return `file:${store.directory}`;
  const { protocol, host, pathname } = new URL(store.url);
  return `${protocol}//${host}${pathname}`;
}

async function openDiskStore(directory: string, fingerprint: string): Promise<OpenedStore> {
  const lock = await lockDirectory(directory);
  try {
    const store = await DiskPrefixStore.open(directory, fingerprint);
    const seeded = new DiskSeedMarker(directory, fingerprint);
    return { store, seeded, ready: () => lock.isInPlace(), close: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Locks a directory for this process. Two servers would overwrite each other's keys, tenants and jobs, which each reads only once. */
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
