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
      const { ready, uploaded, used, two } = await measure(context);
      return [
        { what: 'resident when ready', unit: 'MiB', value: ready.total },
        { what: 'anonymous when ready', unit: 'MiB', value: ready.anonymous, goal: { id: 'P28', atMost: 0.4 } },
        { what: 'resident after the uploads', unit: 'MiB', value: uploaded.total },
        { what: 'resident after all have generated', unit: 'MiB', value: used.total },
        { what: 'anonymous after all have generated', unit: 'MiB', value: used.anonymous },
        { what: 'proportional after all have generated', unit: 'MiB', value: used.proportional },
        { what: 'two replicas, proportional', unit: 'MiB', value: two },
      ];
    };
    return Promise.resolve({ steps: [step], close: () => Promise.resolve() });
  },
};

interface Stages {
  readonly ready: Resident;
  readonly uploaded: Resident;
  readonly used: Resident;
  /** Proportional memory of this server and another one that has done the same, together. */
  readonly two: number;
}

async function measure(context: BenchContext): Promise<Stages> {
  const server = await start(context);
  try {
    const ready = await server.resident();
    await uploadAll(server);
    const uploaded = await server.resident();
    await generateAll(server);
    const used = await server.resident();
    return { ready, uploaded, used, two: await withReplica(context, server) };
  } finally {
    await server.stop();
  }
}

async function withReplica(context: BenchContext, server: ServerProcess): Promise<number> {
  const replica = await start(context);
  try {
    await uploadAll(replica);
    await generateAll(replica);
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

async function generateAll({ url }: ServerProcess): Promise<void> {
  const streams = users.map((user) => {
    return new TokenStream(url, { model: user, prompt: randomTokens(user, PROMPT_TOKENS), maxTokens: NEW_TOKENS });
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
    mib('two replicas, proportional', ({ two }) => two),
    {
      what: 'proportional over weights and keys and values',
      unit: 'x',
      values: stages.map(({ used }) => used.proportional / (weights + kv)),
      goal: { id: 'P9', atMost: 1.3 },
    },
    {
      what: 'two replicas over one, proportional',
      unit: 'x',
      values: stages.map(({ used, two }) => two / used.proportional),
      goal: { id: 'P29', atMost: 1.3 },
    },
  ];
}
