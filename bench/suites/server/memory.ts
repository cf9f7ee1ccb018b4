import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { compileModel, WEIGHTS_FILE } from '#src/model/compile/compiled-model.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { uploadPrefix } from '../../load/targets.js';
import { type ServerProcess, startServer } from '../../process/server-process.js';
import type { Resident } from '../../process/usage.js';
import { randomTokens, TokenStream } from '../../load/token-stream.js';
import { PREFIX_COLUMNS, PREFIX_LENGTH, randomPrefix, userName } from '../../load/workload.js';

const USERS = 32;
const PROMPT_TOKENS = 46;
const NEW_TOKENS = 64;
/** The last token is generated, not read again. */
const POSITIONS = PREFIX_LENGTH + PROMPT_TOKENS + NEW_TOKENS - 1;
const MiB = 2 ** 20;
/** Longer than a ready server takes to open the graphs that it opens afterwards. */
const GRAPHS_OPEN_MS = 4000;
const users = Array.from({ length: USERS }, (_, row) => userName(row));

/** Least memory that a server with these weights needs, MiB. */
interface Needed {
  readonly weights: number;
  readonly kv: number;
}

/** Memory of the server process over the memory that the model itself needs. */
export const memory: Suite = {
  name: 'memory',
  question: `How much memory has a server after ${USERS} users with a prefix each, over weights and their keys and values; and two of them on one machine?`,
  async run(context) {
    const directory = await compileModel({ source: context.checkpoint, cache: context.cache });
    const needed = {
      weights: (await fs.stat(path.join(directory, WEIGHTS_FILE))).size / MiB,
      kv: (USERS * POSITIONS * PREFIX_COLUMNS * Float32Array.BYTES_PER_ELEMENT) / MiB,
    };
    const stages: Stages[] = [];
    for (let round = 1; round <= context.options.repeats; round++) {
      const measured = await measure(context);
      context.log(
        `round ${round}  ready ${measured.ready.total.toFixed(0)} MiB, after ${measured.used.total.toFixed(0)} MiB`,
      );
      stages.push(measured);
    }
    return findings(stages, needed);
  },
  open(context) {
    const step = async (): Promise<Figure[]> => {
      const { ready, first, two, uploaded, used } = await measure(context);
      return [
        { what: 'resident when ready', unit: 'MiB', value: ready.total },
        { what: 'anonymous when ready', unit: 'MiB', value: ready.anonymous, goal: { id: 'P28', atMost: 0.4 } },
        { what: 'proportional after a first answer', unit: 'MiB', value: first.proportional },
        { what: 'two replicas after a first answer each, proportional', unit: 'MiB', value: two },
        { what: 'resident after the uploads', unit: 'MiB', value: uploaded.total },
        { what: 'resident after all have generated', unit: 'MiB', value: used.total },
        { what: 'anonymous after all have generated', unit: 'MiB', value: used.anonymous },
        { what: 'proportional after all have generated', unit: 'MiB', value: used.proportional },
      ];
    };
    return Promise.resolve({ steps: [step], close: () => Promise.resolve() });
  },
};

interface Stages {
  readonly ready: Resident;
  /** After a first answer, which has read all weights. */
  readonly first: Resident;
  /** Proportional memory of this server and another one, after a first answer each, together. */
  readonly two: number;
  readonly uploaded: Resident;
  readonly used: Resident;
}

async function measure(context: BenchContext): Promise<Stages> {
  const server = await start(context);
  try {
    const base = path.basename(context.checkpoint);
    const ready = await server.resident();
    await generate(server, [base]);
    const first = await server.resident();
    const two = await withReplica(context, server);
    await uploadAll(server);
    const uploaded = await server.resident();
    await generate(server, users);
    return { ready, first, two, uploaded, used: await server.resident() };
  } finally {
    await server.stop();
  }
}

async function withReplica(context: BenchContext, server: ServerProcess): Promise<number> {
  const replica = await start(context);
  try {
    await generate(replica, [path.basename(context.checkpoint)]);
    const both = await Promise.all([server.resident(), replica.resident()]);
    return both.reduce((sum, { proportional }) => sum + proportional, 0);
  } finally {
    await replica.stop();
  }
}

/** A server whose graphs are all open. */
async function start(context: BenchContext): Promise<ServerProcess> {
  const server = await startServer(context, { PREAMBLE_SLOTS: String(USERS) });
  return server.prepare(() => delay(GRAPHS_OPEN_MS));
}

async function uploadAll({ url }: ServerProcess): Promise<void> {
  for (const user of users) await uploadPrefix(url, user, randomPrefix(user, PREFIX_COLUMNS));
}

/** Lets models generate together. */
async function generate({ url }: ServerProcess, models: readonly string[]): Promise<void> {
  const streams = models.map((model, row) => {
    return new TokenStream(url, { model, prompt: randomTokens(userName(row), PROMPT_TOKENS), maxTokens: NEW_TOKENS });
  });
  await Promise.all(streams.map(({ done }) => done));
}

function findings(stages: readonly Stages[], { weights, kv }: Needed): Finding[] {
  const mib = (what: string, pick: (stages: Stages) => number): Finding => {
    return { what, unit: 'MiB', values: stages.map(pick) };
  };
  return [
    mib('weights', () => weights),
    mib('keys and values touched', () => kv),
    mib('resident when ready', ({ ready }) => ready.total),
    mib('  of it anonymous', ({ ready }) => ready.anonymous),
    mib('resident after the uploads', ({ uploaded }) => uploaded.total),
    mib('resident after all have generated', ({ used }) => used.total),
    mib('  of it anonymous', ({ used }) => used.anonymous),
    mib('  of it files', ({ used }) => used.file),
    mib('proportional after all have generated', ({ used }) => used.proportional),
    mib('proportional after a first answer', ({ first }) => first.proportional),
    mib('two replicas after a first answer each, proportional', ({ two }) => two),
    {
      what: 'proportional over weights and keys and values',
      unit: 'x',
      values: stages.map(({ used }) => used.proportional / (weights + kv)),
      goal: { id: 'P9', atMost: 1.3 },
    },
    {
      what: 'two replicas over one, proportional',
      unit: 'x',
      values: stages.map(({ first, two }) => two / first.proportional),
      goal: { id: 'P29', atMost: 1.3 },
    },
  ];
}
