import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import path from 'node:path';

import { onTestFinished } from 'vitest';

import { temporaryDirectory } from '../server/prefix-library.js';

const FILLER = 'filler';

/** Whether this machine lets its users mount file systems of their own, in a name space that only they see. */
export const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/** A real file system of a few kilobytes, gone when the test is over. */
export interface SmallDisk {
  /** Where it is mounted, as this process sees it. */
  readonly directory: string;
  /** Runs a command that changes its mount. `$DIR` is where it is mounted. */
  run(command: string): Promise<void>;
}

/** Commands for `SmallDisk.run`. */
export const Mount = {
  readOnly: 'mount -o remount,bind,ro $DIR',
  writable: 'mount -o remount,bind,rw $DIR',
  /** Kept elsewhere, so that it can be mounted again. */
  away: 'mkdir -p $KEPT && mount --move $DIR $KEPT',
  back: 'mount --move $KEPT $DIR',
} as const;

/** Mounts a file system of `kilobytes` with a store's directory in it. Needs `canMount`. */
export async function smallDisk(kilobytes: number): Promise<SmallDisk> {
  const scratch = await temporaryDirectory();
  const [mounted, kept] = ['disk', 'kept'].map((name) => path.join(scratch, name));
  const shell = spawn('unshare', ['-rm', 'sh', '-e'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], DIR: mounted, KEPT: kept },
  });
  const ended = once(shell, 'exit');
  onTestFinished(async () => {
    shell.stdin.end();
    await ended;
  });
  const answers = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
  const run = async (command: string): Promise<void> => {
    shell.stdin.write(`${command}\necho done\n`);
    const { value } = await answers.next();
    if (value !== 'done') throw new Error(`failed: ${command}`);
  };
  await run(`mkdir $DIR && mount -t tmpfs -o size=${kilobytes}k none $DIR`);
  return { directory: `/proc/${shell.pid}/root${mounted}`, run };
}

/** Takes all the room of a disk that is left, by a file `filler`. */
export function fill({ directory }: SmallDisk): void {
  const file = fs.openSync(path.join(directory, FILLER), 'a');
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    fs.closeSync(file);
  }
}

/** Gives the room back. */
export function makeRoom({ directory }: SmallDisk): void {
  fs.rmSync(path.join(directory, FILLER));
}
