import { parseStore, readSettings } from '../../config/config.js';
import { DiskPrefixArchive } from '../../prefix/on-disk/disk-archive.js';
import type { OpenedArchive } from './opened.js';

/**
 * Opens the store that a command line names. Messages name the argument, not its value: a URL may hold a password.
 * @throws ConfigError naming the argument
 */
export async function openArchive(given: string, argument: string): Promise<OpenedArchive> {
  const location = parseStore(argument, given);
  if (location.kind === 'file') return { archive: new DiskPrefixArchive(location.directory), close: () => undefined };
  const { openRedisArchive } = await import('./redis.js');
  return openRedisArchive(location.url, argument, readSettings(['storeTls']));
}
