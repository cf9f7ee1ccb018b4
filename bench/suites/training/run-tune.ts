import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

import { PREFIX_LENGTH } from '../../load/workload.js';
import { threadsOf } from '../../options.js';
import type { TrainRequest } from '../../peers/protocol.js';
import { commandLineOf } from '../../process/build.js';
import { endChild, startChild } from '../../process/child.js';
import { cpuSeconds, peakResident } from '../../process/usage.js';
import type { BenchContext } from '../../suite.js';

/** Milliseconds between two readings of the process's memory and CPU time. */
const INTERVAL = 50;

/** Cost of one run of `preamble tune`. */
export interface TuneCost {
  /** As `--json` reports it. */
  readonly tokensPerSecond: number;
  /** Largest resident memory, MiB. */
  readonly peak: number;
  /** CPU time of the whole process, start and end included. */
  readonly cpuSeconds: number;
}

/** Trains a prefix with `preamble tune` of the context's build; every step has all examples. */
export async function runTune(
  { build, checkpoint, cache, options }: BenchContext,
  examples: TrainRequest['examples'],
  steps: number,
): Promise<TuneCost> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-tune-'));
  const train = path.join(directory, 'train.jsonl');
  const lines = examples.map(({ source: prompt, target: completion }) => JSON.stringify({ prompt, completion }));
  await fs.writeFile(train, lines.join('\n'));
  const flags = {
    model: checkpoint,
    train,
    out: path.join(directory, 'out'),
    length: PREFIX_LENGTH,
    mlp: 0,
    'batch-size': examples.length,
    'max-steps': steps,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = startChild(process.execPath, [commandLineOf(build), 'tune', ...args, '--json'], {
    env: { PATH: process.env['PATH'], PREAMBLE_CACHE: cache, PREAMBLE_THREADS: String(threadsOf(options)) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    return await costOf(child);
  } finally {
    await endChild(child);
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function costOf(child: ChildProcess): Promise<TuneCost> {
  const pid = child.pid as number;
  const output = Promise.all([child.stdout, child.stderr].map((stream) => text(stream as Readable)));
  const ended = once(child, 'exit') as Promise<[status: number | null]>;
  let usage = { peak: NaN, cpuSeconds: NaN };
  while (child.exitCode === null && child.signalCode === null) {
    const read = async (): Promise<typeof usage> => ({
      peak: await peakResident(pid),
      cpuSeconds: await cpuSeconds(pid),
    });
    usage = await read().catch(() => usage); // it has just ended
    await delay(INTERVAL);
  }
  const [[status], [out = '', err = '']] = await Promise.all([ended, output]);
  if (status !== 0) throw new Error(`preamble tune ended with ${status}: ${err}`);
  const { tokens_per_second: tokensPerSecond } = JSON.parse(out.trim().split('\n').at(-1) ?? '') as {
    tokens_per_second: number;
  };
  return { tokensPerSecond, ...usage };
}
