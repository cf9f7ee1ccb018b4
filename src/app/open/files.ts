import { DiskFileStore } from '../../files/disk-file-store.js';
import type { FileStore } from '../../files/file-store.js';
import { Files } from '../../files/files.js';
import type { Settings } from '../../config/variables.js';
import type { RedisConnection } from '../../redis/connection.js';

/** Files of tenants. */
export interface OpenFiles {
  readonly store: FileStore;
  /** As requests use them. */
  readonly files: Files;
}

/** Opens the files beside the prefixes. @param connection to a store on Redis; undefined on disk */
export async function openFiles(
  { store: location, maxTrainingFiles: maxFiles, maxTrainingBytes: maxBytes }: Settings<'store' | 'tuning'>,
  connection: RedisConnection | undefined,
): Promise<OpenFiles> {
  const store = await openStore(location, connection);
  return { store, files: new Files({ store, quota: { maxFiles, maxBytes }, now: Date.now }) };
}

async function openStore(location: Settings<'store'>['store'], connection?: RedisConnection): Promise<FileStore> {
  if (location.kind === 'file') return DiskFileStore.open(location.directory);
  if (connection === undefined) throw new Error('a store on Redis needs its connection');
  const { openRedisFiles } = await import('./redis.js');
  return openRedisFiles(connection);
}
