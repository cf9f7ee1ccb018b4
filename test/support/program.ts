import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { expect, onTestFinished, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';

/** Compiled models of tests that start the program on the bundled one; kept between runs. */
export const testModelCache = join(packageRoot, 'test/.cache/models');

/** The program in a process of its own. */
export interface Running {
  readonly process: ChildProcess;
  /** What it wrote so far. */
  readonly output: { out: string; err: string };
  /** Holds its store, `prefixes`. */
  readonly directory: string;
}

/**
 * Starts the program as `npm start` does, on a free port and with a store of its own; killed when the test is over.
 * @param stderr a file for its log, instead of `output.err`
 */
export function startProgram(settings: Record<string, string> = {}, stderr?: number): Promise<Running> {
  return startCommand([join(packageRoot, 'dist/main.js')], settings, stderr);
}

/** Starts `preamble worker`. */
export function startWorker(settings: Record<string, string>): Promise<Running> {
  return startCommand([join(packageRoot, 'dist/cli/main.js'), 'worker'], settings);
}

async function startCommand(
  command: readonly string[],
  settings: Record<string, string>,
  stderr: number | 'pipe' = 'pipe',
): Promise<Running> {
  const directory = await temporaryDirectory();
  const store = { PREAMBLE_STORE: `file:${directory}/prefixes`, PREAMBLE_CACHE: `${directory}/cache` };
  const child = spawn(process.execPath, command, {
    cwd: directory,
    env: { PATH: process.env['PATH'], PORT: '0', PREAMBLE_SLOTS: '2', ...store, ...settings },
    stdio: ['ignore', 'pipe', stderr],
  });
  const output = { out: '', err: '' };
  child.stdout?.on('data', (data: Buffer) => (output.out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output.err += data.toString()));
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return { process: child, output, directory };
}

/** Where it listens, once it does. */
export async function addressOf({ output }: Running): Promise<string> {
  // A machine that is busy with other things.
  await vi.waitFor(() => expect(output.out).toContain('try '), 180_000);
  return /http:\/\/[\d.:]+/.exec(output.out)?.[0] ?? '';
}

/** Waits for its end. */
export async function exitStatus({ process }: Running): Promise<number | null> {
  if (process.exitCode === null) await once(process, 'exit');
  return process.exitCode;
}
