import fs from 'node:fs/promises';
import path from 'node:path';

/** Content of a file: whole, or as it comes. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

/**
 * Writes a new file and returns once its content is on the disk. Throws when the file exists.
 * @param mode permission bits; the process's default unless given
 */
export async function writeDurably(file: string, data: FileContent, mode?: number): Promise<void> {
  const handle = await fs.open(file, 'wx', mode);
  try {
    await fs.writeFile(handle, data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the entries of a directory durable. A new file or a rename survives a power failure only after this. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return; // directories cannot be opened there, and NTFS logs its renames
  const handle = await fs.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a directory and its missing parents, and returns once their entries are on the disk. */
export async function makeDirectoryDurably(directory: string): Promise<void> {
  const first = await fs.mkdir(directory, { recursive: true });
  if (first === undefined) return;
  const above = path.dirname(path.resolve(first));
  for (let at = path.resolve(directory); at !== above; at = path.dirname(at)) await syncDirectory(path.dirname(at));
}

/** Renames `from` to `to`, and returns once the directory of `to` is on the disk. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await fs.rename(from, to);
  await syncDirectory(path.dirname(to));
}

/**
 * Replaces a file, or creates it, by renaming a draft beside it: a crash or a full disk leaves the old content or the
 * new, never a mixture.
 * @param mode permission bits, as for `writeDurably`
 */
export async function replaceFile(file: string, data: Uint8Array | string, mode?: number): Promise<void> {
  const draft = `${file}.draft`;
  await fs.rm(draft, { force: true }); // left over if a process was killed
  try {
    await writeDurably(draft, data, mode);
    await renameDurably(draft, file);
  } catch (error) {
    await fs.rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Awaits a read. Undefined when the file does not exist. */
export async function ifExists<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Whether a file or directory exists at this path. */
export async function exists(file: string): Promise<boolean> {
  return (await ifExists(fs.stat(file))) !== undefined;
}

/** Whether an error is a system error with one of these codes, for example `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
