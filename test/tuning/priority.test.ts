import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';

const module = pathToFileURL(path.join(packageRoot, 'dist/tuning/priority.js')).href;
/** Prints the priorities of its threads, once lowered, and with a worker that is made after that. */
const program = `
  import fs from 'node:fs';
  import os from 'node:os';
  import { Worker } from 'node:worker_threads';
  import { takePriority } from '${module}';
  const threads = () => fs.readdirSync('/proc/self/task').map((id) => os.getPriority(Number(id)));
  takePriority(19);
  const before = threads();
  const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true });
  worker.once('online', () => {
    console.log(JSON.stringify([before, threads()]));
    process.exit();
  });`;

describe('takePriority', () => {
  // In a program of its own: who is not root gets no priority back.
  it.skipIf(process.platform !== 'linux')('reaches the threads that run already, and those that come later', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program]);
    expect(stderr.toString()).toBe('');
    const [before = [], after = []] = JSON.parse(stdout.toString()) as number[][];
    expect(before.length).toBeGreaterThan(1);
    expect(after.length).toBeGreaterThan(before.length);
    expect(new Set([...before, ...after])).toEqual(new Set([19]));
  });
});
