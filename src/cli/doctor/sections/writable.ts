import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * The directory in which this process would begin to write in order to create `directory` and files in it: itself, or
 * its nearest existing parent. Undefined when writing there is not permitted.
 */
export async function findWritable(directory: string): Promise<string | undefined> {
  const stat = await fs.stat(directory).catch((error: NodeJS.ErrnoException) => error.code);
  if (stat === 'ENOENT') return findWritable(path.dirname(directory));
  if (typeof stat !== 'object' || !stat.isDirectory()) return undefined;
  return fs.access(directory, fs.constants.W_OK | fs.constants.X_OK).then(
    () => directory,
    () => undefined,
  );
}
