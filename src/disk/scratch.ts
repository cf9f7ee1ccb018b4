import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, ifExists, isErrno } from './durable.js';

/** Random token of this process. The pid alone is not enough: in a container every start may get the same one. */
const PROCESS_TOKEN = randomBytes(4).toString('hex');
const ENTRY = /^(\d+)-([0-9a-f]+)-[0-9a-f]+$/;
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * A directory in which a store builds files before it renames them into place. Entries left by a killed process are
 * garbage.
 */
export class Scratch {
  private constructor(private readonly directory: string) {}

  /** Creates the directory if it is missing, and removes entries that no running process can still need. */
  static async open(directory: string): Promise<Scratch> {
    await fs.mkdir(directory, { recursive: true });
    for (const entry of await fs.readdir(directory)) {
      const left = path.join(directory, entry);
      if (await isAbandoned(left)) await removeQuietly(left);
    }
    return new Scratch(directory);
  }

  /** Whether the directory has vanished since it was opened, and with it the store that it is part of. */
  async isGone(): Promise<boolean> {
    return !(await exists(this.directory));
  }

  /** A path that is not used yet. Its file name starts with this process's pid. */
  newPath(): string {
    return path.join(this.directory, `${process.pid}-${PROCESS_TOKEN}-${randomBytes(8).toString('hex')}`);
  }

  /** Runs `build` with a new directory, and afterwards removes everything that `build` has not moved away. */
  async withDirectory<T>(build: (directory: string) => Promise<T>): Promise<T> {
    const directory = this.newPath();
    await fs.mkdir(directory);
    try {
      return await build(directory);
    } finally {
      await removeQuietly(directory);
    }
  }

  /**
   * Removes a directory: first moves it out of sight by one rename, then deletes it. False when the directory did not
   * exist.
   */
  async discard(target: string): Promise<boolean> {
    const away = this.newPath();
    const moved = await ifExists(fs.rename(target, away).then(() => true));
    if (moved) await removeQuietly(away);
    return moved ?? false;
  }
}

async function isAbandoned(entry: string): Promise<boolean> {
  const [, pid, token] = ENTRY.exec(path.basename(entry)) ?? [];
  if (pid !== undefined && token !== PROCESS_TOKEN && (Number(pid) === process.pid || !isRunning(Number(pid))))
    return true;
  const stat = await ifExists(fs.stat(entry));
  return stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED_AFTER_MS;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM'); // someone else's process; ESRCH: none
  }
}

/** Removes a file or directory and ignores failures: the next sweep tries again. */
async function removeQuietly(target: string): Promise<void> {
  await fs.rm(target, { recursive: true, force: true }).catch(() => undefined);
}
