import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * Writes a new file and returns once it is on the disk.
 * @param mode who may read it; what the process gives to new files unless given
 */
export async function writeDurably(file: string, data: Uint8Array | string, mode?: number): Promise<void> {
  const handle = await fs.open(file, 'wx', mode);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory's entries durable: a rename or a new file is one only after this. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return; // directories cannot be opened there, and NTFS logs its renames
  const handle = await fs.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a directory and those above it that are missing, and returns once their entries are on the disk. */
export async function makeDirectoryDurably(directory: string): Promise<void> {
  const first = await fs.mkdir(directory, { recursive: true });
  if (first === undefined) return;
  const above = path.dirname(path.resolve(first));
  for (let at = path.resolve(directory); at !== above; at = path.dirname(at)) await syncDirectory(path.dirname(at));
}

/** Renames `from` to `to`, durably in the directory that `to` is in. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await fs.rename(from, to);
  await syncDirectory(path.dirname(to));
}

/**
 * Writes a file in place of what is there, by way of one beside it: after a crash there is the old file or the new one.
 * @param mode as of `writeDurably`
 */
export async function replaceFile(file: string, data: Uint8Array | string, mode?: number): Promise<void> {
  const draft = `${file}.draft`;
  await fs.rm(draft, { force: true }); // left over if a process was killed
  await writeDurably(draft, data, mode);
  await renameDurably(draft, file);
}

/** What a read resolves to, or undefined when the file is not there. */
export async function ifExists<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Whether there is a file or a directory of that name. */
export async function exists(file: string): Promise<boolean> {
  return (await ifExists(fs.stat(file))) !== undefined;
}

/** Whether it is a system's error with one of the codes, such as `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
