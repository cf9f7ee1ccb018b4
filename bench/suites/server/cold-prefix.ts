import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { packageRoot } from '#src/config/config.js';
import { compileModel, type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { baseModel } from '#src/model/model.js';
import { RedisConnection } from '#src/redis/connection.js';
import { RedisPrefixStore } from '#src/redis/prefixes/redis-prefix-store.js';
import { DEFAULT_TENANT } from '#src/tenancy/tenancy.js';
import { findProgram } from '../../../test/support/debian-program.js';
import { RedisProcess, redisProgram } from '../../../test/support/redis-process.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';
import { startServer } from '../../process/server-process.js';
import { storedPrefix } from '../../inputs/stored-prefix.js';
import { gaps, quantile, randomTokens, timeToFirstToken, TokenStream } from '../../load/token-stream.js';
import { median } from '../../report/statistics.js';
import { PREFIX_LENGTH } from '../../load/workload.js';

/** Prefixes that are loaded in one repeat, one after another. */
const LOADS = 15;
const STREAMS = 8;
/** Prefixes that arrive beside the streams in one repeat, and the milliseconds between two of them. */
const ARRIVALS = 10;
const INTERVAL = 200;
const PER_ROUND = LOADS + ARRIVALS;

/** What company the streams have. */
type Company = 'nobody' | 'warm' | 'cold';

interface Round {
  /** To the first token with a prefix that is in Redis only, and with the same one in memory; medians, milliseconds. */
  readonly cold: number;
  readonly warm: number;
  readonly beside: Readonly<Record<Company, Gaps>>;
}

/** Between tokens of the streams, milliseconds. */
interface Gaps {
  readonly mean: number;
  /** 95th percentile. */
  readonly p95: number;
}

/** What it costs that a prefix is not in memory yet. */
export const coldPrefix: Suite = {
  name: 'cold-prefix',
  question: `What does a ${PREFIX_LENGTH}-token prefix cost that is in Redis and not in memory, itself and others?`,
  async run(context) {
    const found = await findProgram(redisProgram, path.join(packageRoot, 'test/.cache'));
    const redis = await RedisProcess.start(found);
    try {
      const model = await compileModel({ source: context.checkpoint, cache: context.cache });
      await fill(redis.url, model, (context.options.repeats + 1) * PER_ROUND);
      return findings(await measureAll(redis.url, model, context));
    } finally {
      await redis.stop();
    }
  },
};

async function fill(url: string, model: string, count: number): Promise<void> {
  const base = baseModel('model', (await readManifest(model)) as Manifest);
  const connection = await RedisConnection.open({ url });
  try {
    const store = new RedisPrefixStore(connection, base.fingerprint);
    for (let i = 0; i < count; i++) await store.put(DEFAULT_TENANT, storedPrefix(nameOf(i), PREFIX_LENGTH, base));
  } finally {
    connection.close();
  }
}

async function measureAll(store: string, model: string, context: BenchContext): Promise<Round[]> {
  const { options } = context;
  const server = await startServer(context, { PREAMBLE_MODEL: model, PREAMBLE_STORE: store });
  try {
    const rounds: Round[] = [];
    for (let round = 0; round <= options.repeats; round++) {
      const names = Array.from({ length: PER_ROUND }, (_, i) => nameOf(round * PER_ROUND + i));
      const alone = await measureAlone(server.url, names.slice(0, LOADS));
      const guests = names.slice(LOADS);
      const beside = await measureBeside(server.url, path.basename(model), round, guests, names[0] as string);
      context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${describe({ ...alone, beside })}`);
      if (round > 0) rounds.push({ ...alone, beside });
    }
    return rounds;
  } finally {
    await server.stop();
  }
}

async function measureAlone(url: string, names: readonly string[]): Promise<Pick<Round, 'cold' | 'warm'>> {
  const cold: number[] = [];
  const warm: number[] = [];
  for (const model of names) {
    const ask = { model, prompt: randomTokens(model, 1), maxTokens: 1 };
    cold.push(await timeToFirstToken(url, ask));
    warm.push(await timeToFirstToken(url, ask));
  }
  return { cold: median(cold), warm: median(warm) };
}

/** Each company comes for as long, to streams that are as long; which comes first changes from round to round. */
async function measureBeside(
  url: string,
  model: string,
  round: number,
  cold: readonly string[],
  warm: string,
): Promise<Round['beside']> {
  const guests = { nobody: cold.map(() => undefined), warm: cold.map(() => warm), cold };
  const order = Object.keys(guests) as Company[];
  const measured: Partial<Record<Company, Gaps>> = {};
  for (const i of order.keys()) {
    const company = order[(i + round) % order.length] as Company;
    measured[company] = await measureGaps(url, model, guests[company]);
  }
  return measured as Round['beside'];
}

async function measureGaps(url: string, model: string, guests: readonly (string | undefined)[]): Promise<Gaps> {
  const streams = Array.from({ length: STREAMS }, (_, row) => {
    return new TokenStream(url, { model, prompt: randomTokens(`stream/${row}`, 16), maxTokens: 900 });
  });
  try {
    await Promise.all(streams.map((stream) => stream.token(4)));
    const from = performance.now();
    await arrive(url, guests);
    const values = gaps(streams, from, performance.now());
    return { mean: values.reduce((sum, value) => sum + value, 0) / values.length, p95: quantile(values, 0.95) };
  } finally {
    await Promise.all(streams.map((stream) => stream.cancel()));
  }
}

/** One request every `INTERVAL`, of one token with the prefix of that name; none where there is no name. */
async function arrive(url: string, guests: readonly (string | undefined)[]): Promise<void> {
  const running: Promise<number>[] = [];
  for (const model of guests) {
    if (model !== undefined)
      running.push(timeToFirstToken(url, { model, prompt: randomTokens(model, 1), maxTokens: 1 }));
    await delay(INTERVAL);
  }
  await Promise.all(running);
}

function describe({ cold, warm, beside }: Round): string {
  const others = Object.entries(beside).map(([company, { mean }]) => `${mean.toFixed(1)} ms ${company}`);
  return `first token ${cold.toFixed(1)} ms cold, ${warm.toFixed(1)} ms warm; between others' tokens ${others.join(', ')}`;
}

function nameOf(index: number): string {
  return `users/${index}`;
}

function findings(rounds: readonly Round[]): Finding[] {
  const values = (pick: (round: Round) => number): number[] => rounds.map(pick);
  const beside = (company: Company): Finding[] => [
    {
      what: "between others' tokens, mean",
      at: { arriving: company },
      unit: 'ms',
      values: values((r) => r.beside[company].mean),
    },
    {
      what: "between others' tokens, p95",
      at: { arriving: company },
      unit: 'ms',
      values: values((r) => r.beside[company].p95),
    },
  ];
  return [
    { what: 'first token, prefix in Redis only', unit: 'ms', values: values(({ cold }) => cold) },
    { what: 'first token, prefix in memory', unit: 'ms', values: values(({ warm }) => warm) },
    {
      what: 'what a cold prefix adds',
      unit: 'ms',
      values: values(({ cold, warm }) => cold - warm),
      goal: { id: 'P7', atMost: 10 },
    },
    ...beside('nobody'),
    ...beside('warm'),
    ...beside('cold'),
    {
      what: "between others' tokens, mean: cold prefixes arriving over nobody",
      unit: 'x',
      values: values(({ beside: { cold, nobody } }) => cold.mean / nobody.mean),
      goal: { id: 'P7', atMost: 1.1 },
    },
    {
      what: "between others' tokens, mean: cold prefixes arriving over warm ones",
      unit: 'x',
      values: values(({ beside: { cold, warm } }) => cold.mean / warm.mean),
    },
  ];
}
