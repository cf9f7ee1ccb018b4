import fs from 'node:fs/promises';
import path from 'node:path';

import { compileModel, WEIGHTS_FILE } from '#src/model/compile/compiled-model.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { uploadPrefix } from '../../load/targets.js';
import { startServer } from '../../process/server-process.js';
import type { Resident } from '../../process/usage.js';
import { randomTokens, TokenStream } from '../../load/token-stream.js';
import { PREFIX_COLUMNS, PREFIX_LENGTH, randomPrefix, userName } from '../../load/workload.js';

const USERS = 32;
const PROMPT_TOKENS = 46;
const NEW_TOKENS = 64;
/** The last token is generated, not read again. */
const POSITIONS = PREFIX_LENGTH + PROMPT_TOKENS + NEW_TOKENS - 1;
const MiB = 2 ** 20;

/** Least memory that a server with these weights needs, MiB. */
interface Needed {
  readonly weights: number;
  readonly kv: number;
}

/** Memory of the server process over the memory that the model itself needs. */
export const memory: Suite = {
  name: 'memory',
  question: `How much memory has a server after ${USERS} users with a prefix each, over weights and their keys and values?`,
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
      const { ready, uploaded, used } = await measure(context);
      return [
        { what: 'resident when ready', unit: 'MiB', value: ready.total },
        { what: 'resident after the uploads', unit: 'MiB', value: uploaded.total },
        { what: 'resident after all have generated', unit: 'MiB', value: used.total },
        { what: 'anonymous after all have generated', unit: 'MiB', value: used.anonymous },
      ];
    };
    return Promise.resolve({ steps: [step], close: () => Promise.resolve() });
  },
};

interface Stages {
  readonly ready: Resident;
  readonly uploaded: Resident;
  readonly used: Resident;
}

async function measure(context: BenchContext): Promise<Stages> {
  const server = await startServer(context, { PREAMBLE_SLOTS: String(USERS) });
  try {
    const ready = await server.resident();
    const users = Array.from({ length: USERS }, (_, row) => userName(row));
    for (const user of users) await uploadPrefix(server.url, user, randomPrefix(user, PREFIX_COLUMNS));
    const uploaded = await server.resident();
    const streams = users.map((user) => {
      return new TokenStream(server.url, {
        model: user,
        prompt: randomTokens(user, PROMPT_TOKENS),
        maxTokens: NEW_TOKENS,
      });
    });
    await Promise.all(streams.map(({ done }) => done));
    return { ready, uploaded, used: await server.resident() };
  } finally {
    await server.stop();
  }
}

function findings(stages: readonly Stages[], { weights, kv }: Needed): Finding[] {
  const mib = (what: string, pick: (stages: Stages) => number): Finding => {
    return { what, unit: 'MiB', values: stages.map(pick) };
  };
  return [
    mib('weights', () => weights),
    mib('keys and values touched', () => kv),
    mib('resident when ready', ({ ready }) => ready.total),
    mib('resident after the uploads', ({ uploaded }) => uploaded.total),
    mib('resident after all have generated', ({ used }) => used.total),
    mib('  of it anonymous', ({ used }) => used.anonymous),
    mib('  of it files', ({ used }) => used.file),
    {
      what: 'resident over weights and keys and values',
      unit: 'x',
      values: stages.map(({ used }) => used.total / (weights + kv)),
      goal: { id: 'P9', atMost: 1.3 },
    },
  ];
}
