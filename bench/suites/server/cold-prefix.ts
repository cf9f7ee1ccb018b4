import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { packageRoot } from '#src/config/paths.js';
import { findProgram } from '../../../test/support/debian-program.js';
import { RedisProcess, redisProgram } from '../../../test/support/redis-process.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';
import { startServer } from '../../process/server-process.js';
import { gaps, quantile, randomTokens, timeToFirstToken, TokenStream } from '../../load/token-stream.js';
import { median } from '../../report/statistics.js';
import { uploadPrefix } from '../../load/targets.js';
import { PREFIX_COLUMNS, PREFIX_LENGTH, randomPrefix } from '../../load/workload.js';

/** Prefixes that are loaded in one round, one after another. */
const LOADS = 15;
const STREAMS = 8;
/** Prefixes that are requested beside the streams in one round, and the milliseconds between two requests. */
const ARRIVALS = 10;
const INTERVAL = 200;
const PER_ROUND = LOADS + ARRIVALS;

/** Requests that arrive beside the streams: none, or with prefixes that are in memory, or with prefixes that are not. */
type Company = 'nobody' | 'warm' | 'cold';

interface Round {
  /** Median milliseconds to the first token, with a prefix that is in Redis only and with the same prefix in memory. */
  readonly cold: number;
  readonly warm: number;
  readonly beside: Readonly<Record<Company, Gaps>>;
}

/** Milliseconds between tokens of the streams. */
interface Gaps {
  readonly mean: number;
  /** 95th percentile. */
  readonly p95: number;
}

/** Cost of a prefix that is not in memory yet, for its own request and for others. */
export const coldPrefix: Suite = {
  name: 'cold-prefix',
  question: `What does a ${PREFIX_LENGTH}-token prefix cost that is in Redis and not in memory, itself and others?`,
  async run(context) {
    const subject = await openSubject(context);
    try {
      const rounds: Round[] = [];
      for (let round = 0; round <= context.options.repeats; round++) {
        const measured = await subject.measure(round);
        context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${describe(measured)}`);
        if (round > 0) rounds.push(measured);
      }
      return findings(rounds);
    } finally {
      await subject.close();
    }
  },
  async open(context) {
    const subject = await openSubject(context);
    return { steps: [async (round) => figures(await subject.measure(round))], close: () => subject.close() };
  },
};

/** A server with a Redis of its own. No prefix is in the server's memory before the round that requests it. */
interface Subject {
  measure(round: number): Promise<Round>;
  close(): Promise<void>;
}

async function openSubject(context: BenchContext): Promise<Subject> {
  const redis = await RedisProcess.start(await findProgram(redisProgram, path.join(packageRoot, 'test/.cache')));
  try {
    const settings = { PREAMBLE_STORE: redis.url };
    const filling = await startServer(context, settings);
    await filling.prepare((url) => fill(url, (context.options.repeats + 1) * PER_ROUND));
    await filling.stop();
    const server = await startServer(context, settings);
    const model = path.basename(context.checkpoint);
    return {
      measure: (round) => measureRound(server.url, model, round),
      close: () => server.stop().finally(() => redis.stop()),
    };
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

async function fill(url: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await uploadPrefix(url, nameOf(i), randomPrefix(nameOf(i), PREFIX_COLUMNS));
}

async function measureRound(url: string, model: string, round: number): Promise<Round> {
  const names = Array.from({ length: PER_ROUND }, (_, i) => nameOf(round * PER_ROUND + i));
  const alone = await measureAlone(url, names.slice(0, LOADS));
  return { ...alone, beside: await measureBeside(url, model, round, names.slice(LOADS), names[0] as string) };
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

/** Every company gets equally long streams; the order changes from round to round. */
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

/** Sends a request of one token every `INTERVAL`, with the prefix of that name; waits without one for `undefined`. */
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

function figures({ cold, warm, beside }: Round): Figure[] {
  return [
    { what: 'first token, prefix in Redis only', unit: 'ms', value: cold },
    { what: 'first token, prefix in memory', unit: 'ms', value: warm },
    ...(['nobody', 'warm', 'cold'] as const).map((arriving): Figure => ({
      what: "between others' tokens, mean",
      at: { arriving },
      unit: 'ms',
      value: beside[arriving].mean,
    })),
  ];
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
