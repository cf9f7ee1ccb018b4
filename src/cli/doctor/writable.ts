import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * Where this process would begin to write to make a directory and files in it: the directory itself, or the nearest one above it that
 * is there. Undefined when it may not.
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
