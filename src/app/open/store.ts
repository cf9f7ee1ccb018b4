import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import type { OpenedStore } from './opened.js';
import { refuseDirectory } from './refuse-directory.js';
import type { StoreTls } from './store-tls.js';
import { DiskSeedMarker } from '../seed.js';
import { ConfigError } from '../../config/error.js';
import type { StoreLocation } from '../../config/parsers.js';
import { makeDirectoryDurably, writeDurably } from '../../disk/durable.js';
import { StoreHealth } from '../../lib/store-health.js';
import { DiskPrefixStore } from '../../prefix/on-disk/disk-prefix-store.js';
import { type FileLock, FileLockedError, lockFile } from '../../runtime/libc/file-lock.js';

/** Name of the file that the server which uses a directory locks. */
const LOCK_FILE = '.lock';
/** Name of a file that is written to find out whether the directory takes files again. */
const CHECK_FILE = '.check';
const CHECK_BYTES = 64 * 1024;

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
    const health = new StoreHealth(async () => (await lock.isInPlace()) && (await takesFiles(directory)));
    const close = (): void => {
      health.close();
      lock.release();
    };
    const ready = async (): Promise<boolean> => {
      if (!(await lock.isInPlace())) health.failed({ reason: 'unavailable', cause: 'lock lost' });
      return !health.isFailing;
    };
    return { store, seeded, health, ready, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function takesFiles(directory: string): Promise<boolean> {
  const file = join(directory, CHECK_FILE);
  const remove = (): Promise<void> => rm(file, { force: true });
  try {
    await remove(); // an earlier process may have been killed in the middle
    await writeDurably(file, new Uint8Array(CHECK_BYTES));
    return true;
  } catch {
    return false;
  } finally {
    await remove().catch(() => undefined);
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
