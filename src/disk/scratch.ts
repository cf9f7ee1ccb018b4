import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, isErrno } from './durable.js';

/** Tells this process from an earlier one with the same pid: in a container, every start may get the same. */
const PROCESS_TOKEN = randomBytes(4).toString('hex');
const ENTRY = /^(\d+)-([0-9a-f]+)-[0-9a-f]+$/;
const ABANDONED_AFTER_MS = 3_600_000;

/** The directory in which a store builds what it then renames into place. What a killed process left is garbage. */
export class Scratch {
  private constructor(private readonly directory: string) {}

  /** Creates the directory where it is missing, and sweeps what no running process can still need. */
  static async open(directory: string): Promise<Scratch> {
    await fs.mkdir(directory, { recursive: true });
    for (const entry of await fs.readdir(directory)) {
      const left = path.join(directory, entry);
      if (await isAbandoned(left)) await removeQuietly(left);
    }
    return new Scratch(directory);
  }

  /** A new path, of nothing yet, which carries its owner's pid. */
  newPath(): string {
    return path.join(this.directory, `${process.pid}-${PROCESS_TOKEN}-${randomBytes(8).toString('hex')}`);
  }

  /** Runs `build` with a new directory; whatever it has not moved away is removed afterwards. */
  async withDirectory<T>(build: (directory: string) => Promise<T>): Promise<T> {
    const directory = this.newPath();
    await fs.mkdir(directory);
    try {
      return await build(directory);
    } finally {
      await removeQuietly(directory);
    }
  }

  /** Moves a directory out of sight in one step, then removes it. False when it was not there. */
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

/** A cleanup that is lost is harmless: the next sweep gets it. */
async function removeQuietly(target: string): Promise<void> {
  await fs.rm(target, { recursive: true, force: true }).catch(() => undefined);
}
