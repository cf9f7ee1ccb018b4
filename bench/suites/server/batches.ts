import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { openEngine, type OpenEngine } from '../../contenders/open-engine.js';
import { readCounts } from '../../load/soak-load.js';
import { generate, uploadPrefix } from '../../load/targets.js';
import { type Ask, gaps, quantile, randomTokens, timeToFirstToken, TokenStream } from '../../load/token-stream.js';
import { PREFIX_COLUMNS, randomPrefix, userName, type UserRequest } from '../../load/workload.js';
import { type ServerProcess, startServer } from '../../process/server-process.js';
import { median } from '../../report/statistics.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';

const USERS = 32;
const SLOTS = 32;
const PROMPT_TOKENS = 16;
const NEW_TOKENS = 32;
/** Streams of users beside the batch, the tokens of each that are timed, and prompts whose first token is. */
const STREAMS = 4;
const STREAM_TOKENS = 64;
const FIRST_TOKENS = 8;
/** From one look at the server to the next. */
const LOOK_EVERY_MS = 100;

const users = Array.from({ length: USERS }, (_, row) => userName(row));
const prefixes = new Map(users.map((user) => [user, randomPrefix(user, PREFIX_COLUMNS)]));

/** Values of one round. */
interface Round {
  /** Tokens a second of a batch, and of the engine alone with the same requests. */
  readonly batch: number;
  readonly engine: number;
  /** Interactive users' times, in milliseconds, alone and beside a batch. */
  readonly alone: Interactive;
  readonly beside: Interactive;
  /** Largest resident memory of the second half of the batch over that of the first. */
  readonly memory: number;
}

interface Interactive {
  /** Between tokens, 95th percentile. */
  readonly between: number;
  /** To the first token, median. */
  readonly first: number;
}

/** A batch on a server that has nothing else to do, and what it does to interactive users. */
export const batches: Suite = {
  name: 'batches',
  question: `How fast is a batch of --lines requests with ${USERS} prefixes, what do others feel of it, and does it grow the server?`,
  async run(context) {
    const server = await startServer(context, { PREAMBLE_SLOTS: String(SLOTS) });
    let engine: OpenEngine | undefined;
    try {
      await server.prepare(async (url) => {
        for (const [user, prefix] of prefixes) await uploadPrefix(url, user, prefix);
      });
      engine = await openEngine(context, SLOTS);
      const rounds: Round[] = [];
      for (let round = 0; round <= context.options.repeats; round++) {
        const measured = await measure(context, server, engine, round);
        report(context, measured, round);
        if (round > 0) rounds.push(measured);
        await context.keep(toFindings(rounds, context.options.lines));
      }
      return toFindings(rounds, context.options.lines);
    } finally {
      await engine?.close();
      await server.stop();
    }
  },
};

async function measure(
  { checkpoint, options }: BenchContext,
  server: ServerProcess,
  engine: OpenEngine,
  round: number,
): Promise<Round> {
  const { url } = server;
  const model = path.basename(checkpoint);
  const requests = requestsOf(options.lines, round);
  const alone = await interactive(url, model, `${round}/alone`);
  const engineRate = await rateOfEngine(engine, requests);
  const { rate, memory } = await rateOfBatch(server, await create(url, requests), requests);
  const endless = await create(url, requestsOf(Math.max(options.lines, 20 * SLOTS), round));
  await untilTokens(url, (await readCounts(url)).generatedTokens + 4 * SLOTS);
  const beside = await interactive(url, model, `${round}/beside`);
  await call(url, `/batches/${endless}/cancel`, {});
  await untilEnded(url, endless);
  return { batch: rate, engine: engineRate, alone, beside, memory };
}

function requestsOf(count: number, round: number): UserRequest[] {
  return Array.from({ length: count }, (_, i) => ({
    user: users[i % USERS] as string,
    prompt: randomTokens(`batch/${round}/${i}`, PROMPT_TOKENS),
    maxTokens: NEW_TOKENS,
  }));
}

/** Uploads the requests, and makes a batch of them. */
async function create(url: string, requests: readonly UserRequest[]): Promise<string> {
  const lines = requests.map(({ user, prompt, maxTokens }, i) => {
    const body = { model: user, prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true };
    return JSON.stringify({ custom_id: String(i), method: 'POST', url: '/v1/completions', body });
  });
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob([lines.join('\n')]), 'requests.jsonl');
  const file = (await answerOf(await fetch(`${url}/v1/files`, { method: 'POST', body: form }))) as { id: string };
  const endpoint = '/v1/completions';
  const batch = await call(url, '/batches', { input_file_id: file.id, endpoint, completion_window: '24h' });
  return batch.id;
}

/** The rate between a twentieth of the tokens and nineteen twentieths: neither the start nor the end, when slots become free. */
async function rateOfBatch(
  server: ServerProcess,
  id: string,
  requests: readonly UserRequest[],
): Promise<{ rate: number; memory: number }> {
  const { url } = server;
  const total = requests.reduce((sum, { maxTokens }) => sum + maxTokens, 0);
  const before = (await readCounts(url)).generatedTokens;
  const seen: { time: number; tokens: number; resident: number }[] = [];
  for (let tokens = 0; tokens < total;) {
    await delay(LOOK_EVERY_MS);
    tokens = (await readCounts(url)).generatedTokens - before;
    seen.push({ time: performance.now(), tokens, resident: (await server.resident()).anonymous });
  }
  await untilEnded(url, id);
  const steady = seen.filter(({ tokens }) => tokens >= total / 20 && tokens <= total - total / 20);
  const [first, last] = [steady[0], steady.at(-1)];
  if (first === undefined || last === undefined || first === last) throw new Error('too few requests to see a rate');
  const half = Math.ceil(steady.length / 2);
  const peak = (part: typeof steady): number => Math.max(...part.map(({ resident }) => resident));
  return {
    rate: (1000 * (last.tokens - first.tokens)) / (last.time - first.time),
    memory: peak(steady.slice(half)) / peak(steady.slice(0, half)),
  };
}

/** As `rateOfBatch`, of the engine in this process: as many requests wait as a batch has under way. */
async function rateOfEngine({ engine }: OpenEngine, requests: readonly UserRequest[]): Promise<number> {
  const times: number[] = [];
  const left = [...requests];
  const client = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      times.push(...(await generate(engine, prefixes.get(next.user), next)).times);
  };
  await Promise.all(Array.from({ length: 2 * SLOTS }, client));
  times.sort((a, b) => a - b);
  const steady = times.slice(Math.ceil(times.length / 20), -Math.ceil(times.length / 20));
  return (1000 * (steady.length - 1)) / ((steady.at(-1) ?? NaN) - (steady[0] ?? NaN));
}

/** Times of a few interactive users: streams, and beside them short prompts, one after the other. */
async function interactive(url: string, model: string, seed: string): Promise<Interactive> {
  const ask = (name: string, maxTokens: number): Ask => ({
    model,
    prompt: randomTokens(`${seed}/${name}`, PROMPT_TOKENS),
    maxTokens,
  });
  const streams = Array.from({ length: STREAMS }, (_, row) => new TokenStream(url, ask(String(row), 900)));
  const begin = Math.max(...(await Promise.all(streams.map((stream) => stream.token(4)))));
  await Promise.all(streams.map((stream) => stream.token(STREAM_TOKENS)));
  const between = quantile(gaps(streams, begin, performance.now()), 0.95);
  const firsts: number[] = [];
  for (let i = 0; i < FIRST_TOKENS; i++) firsts.push(await timeToFirstToken(url, ask(`first/${i}`, 1)));
  await Promise.all(streams.map((stream) => stream.cancel()));
  return { between, first: median(firsts) };
}

async function untilTokens(url: string, tokens: number): Promise<void> {
  while ((await readCounts(url)).generatedTokens < tokens) await delay(LOOK_EVERY_MS);
}

async function untilEnded(url: string, id: string): Promise<void> {
  for (;;) {
    const { status } = (await answerOf(await fetch(`${url}/v1/batches/${id}`))) as { status: string };
    if (status === 'completed' || status === 'cancelled') return;
    if (status === 'failed' || status === 'expired') throw new Error(`the batch is ${status}`);
    await delay(LOOK_EVERY_MS);
  }
}

async function call(url: string, route: string, body: object): Promise<{ id: string }> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/v1${route}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await answerOf(answer)) as { id: string };
}

async function answerOf(response: Response): Promise<unknown> {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

function report({ log }: BenchContext, { batch, engine, alone, beside, memory }: Round, round: number): void {
  log(
    `${round === 0 ? 'warm-up' : `round ${round}`}  batch ${batch.toFixed(0)} tok/s, engine ${engine.toFixed(0)} tok/s; between tokens ` +
      `${alone.between.toFixed(1)} ms, then ${beside.between.toFixed(1)} ms; first token ${alone.first.toFixed(1)} ms, then ` +
      `${beside.first.toFixed(1)} ms; memory ${memory.toFixed(3)} x`,
  );
}

function toFindings(rounds: readonly Round[], lines: number): Finding[] {
  const at = { lines, prefixes: USERS, slots: SLOTS };
  const values = (pick: (round: Round) => number): number[] => rounds.map(pick);
  return [
    { what: 'tokens per second of a batch', at, unit: 'tok/s', values: values(({ batch }) => batch) },
    { what: 'tokens per second of the engine alone', at, unit: 'tok/s', values: values(({ engine }) => engine) },
    {
      what: 'batch over the engine alone',
      at,
      unit: 'x',
      values: values(({ batch, engine }) => batch / engine),
      goal: { id: 'P44', atLeast: 0.95 },
    },
    {
      what: 'between tokens, p95, beside a batch over alone',
      at,
      unit: 'x',
      values: values(({ alone, beside }) => beside.between / alone.between),
      goal: { id: 'P45', atMost: 1.1 },
    },
    {
      what: 'first token beside a batch over alone',
      at,
      unit: 'x',
      values: values(({ alone, beside }) => beside.first / alone.first),
      goal: { id: 'P46', atMost: 1.25 },
    },
    {
      what: 'memory in the second half of a batch over the first',
      at,
      unit: 'x',
      values: values(({ memory }) => memory),
      goal: { id: 'P47', atMost: 1.02 },
    },
  ];
}
