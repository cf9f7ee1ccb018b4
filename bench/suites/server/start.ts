import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { compileModel, WEIGHTS_FILE } from '#src/model/compile/compiled-model.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { startServer } from '../../process/server-process.js';

/** Whether the weights file is in the page cache. All other files, such as Node and the libraries, always are. */
type PageCache = 'warm' | 'cold';

interface Times {
  readonly read: number;
  readonly start: number;
}

const READ_BYTES = 4 << 20;
const run = promisify(execFile);

/** Time from the start of the process to ready, over the time to read the weights file once. */
export const start: Suite = {
  name: 'start',
  question: 'How long does a server with a compiled model take to be ready, over reading its weights file once?',
  async run(context) {
    const directory = await compileModel({ source: context.checkpoint, cache: context.cache });
    const weights = path.join(directory, WEIGHTS_FILE);
    const states: PageCache[] = (await canEvict(weights)) ? ['warm', 'cold'] : ['warm'];
    const times = new Map(states.map((state) => [state, [] as Times[]]));
    for (let round = 0; round <= context.options.repeats; round++) {
      for (const [state, list] of times) {
        const measured = await measure(state, weights, context);
        context.log(
          `${round === 0 ? 'warm-up' : `round ${round}`}  ${state}  read ${measured.read.toFixed(0)} ms, ready ${measured.start.toFixed(0)} ms`,
        );
        if (round > 0) list.push(measured);
      }
    }
    return [...times].flatMap(([state, list]) => findings(state, list));
  },
  async open(context) {
    await (await startServer(context)).stop(); // compiles the model
    const files = await largeFiles(context.cache);
    const states: PageCache[] = (await canEvict(files[0] as string)) ? ['warm', 'cold'] : ['warm'];
    const measure = async (state: PageCache): Promise<Figure[]> => {
      if (state === 'cold') await Promise.all(files.map(evict));
      const { ready, cpu } = await measureStart(context);
      const at = { 'page cache': state };
      const goal = state === 'warm' ? { goal: { id: 'P27', atMost: 0.6 } } : {};
      return [
        { what: 'process start to ready', at, unit: 'ms', value: ready, ...goal },
        { what: 'CPU time to ready', at, unit: 'ms', value: cpu, ...goal },
      ];
    };
    return { steps: states.map((state) => () => measure(state)), close: () => Promise.resolve() };
  },
};

async function measure(state: PageCache, weights: string, context: BenchContext): Promise<Times> {
  if (state === 'cold') await evict(weights);
  const read = await timeToRead(weights);
  if (state === 'cold') await Promise.all((await largeFiles(context.cache)).map(evict));
  const { ready } = await measureStart(context);
  return { read, start: ready };
}

/** Milliseconds until a new server is ready, and its CPU time until then. */
async function measureStart(context: BenchContext): Promise<{ readonly ready: number; readonly cpu: number }> {
  const server = await startServer(context);
  try {
    return { ready: server.readyAfter, cpu: 1000 * (await server.cpuSeconds()) };
  } finally {
    await server.stop();
  }
}

/** Files of the compiled models of a build, which may have any names, that take long to read. */
async function largeFiles(directory: string): Promise<string[]> {
  const entries = await fs.readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name));
  const sizes = await Promise.all(files.map(async (file) => (await fs.stat(file)).size));
  return files.filter((_, index) => (sizes[index] as number) > READ_BYTES);
}

function findings(state: PageCache, times: readonly Times[]): Finding[] {
  const at = { 'page cache': state };
  return [
    { what: 'reading the weights file', at, unit: 'ms', values: times.map(({ read }) => read) },
    { what: 'process start to ready', at, unit: 'ms', values: times.map(({ start }) => start) },
    {
      what: 'start to ready over reading the weights file',
      at,
      unit: 'x',
      values: times.map(({ read, start }) => start / read),
      goal: { id: 'P10', atMost: 2 },
    },
  ];
}

async function timeToRead(file: string): Promise<number> {
  const buffer = Buffer.alloc(READ_BYTES);
  const begin = performance.now();
  const handle = await fs.open(file);
  try {
    while ((await handle.read(buffer, 0, READ_BYTES)).bytesRead > 0);
  } finally {
    await handle.close();
  }
  return performance.now() - begin;
}

/** Drops a file from the page cache as GNU's `dd` documents; the right to read the file is enough. */
async function evict(file: string): Promise<void> {
  await run('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}

/** Times that a busy machine may read a dropped file as fast as a cached one. */
const ATTEMPTS = 5;

/** Whether this system can drop a file from the page cache: reading it then takes clearly longer. */
async function canEvict(file: string): Promise<boolean> {
  await timeToRead(file);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const warm = await timeToRead(file);
    const canDrop = await evict(file).then(
      () => true,
      () => false,
    );
    if (!canDrop) return false;
    if ((await timeToRead(file)) > 2 * warm) return true;
  }
  return false;
}
