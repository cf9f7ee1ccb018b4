import { once } from 'node:events';

import { expect, inject, it, onTestFinished } from 'vitest';

import { startHaproxy } from '../support/haproxy.js';
import { addressOf, exitStatus, startProgram, testModelCache, type Running } from '../support/program.js';
import { freePort, RedisServer } from '../support/redis-server.js';
import { parseSamples } from '../support/samples.js';

const PREFIXES = 64;
const CLIENTS = 6;
/** For a machine that is busy with other things. */
const patience = { timeout: 60_000 };
const key = 'a-key-of-this-test';
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };

interface Counts {
  answered: number;
  /** Streams that broke after their first byte. */
  broken: number;
  /** Answers other than 200, and requests without an answer. */
  lost: string[];
}

it.skipIf(inject('haproxy') === null)(
  'keeps prefixes warm, passes streams on as they come, and loses no request to a rolling restart or a crash',
  async () => {
    const redis = await RedisServer.start();
    onTestFinished(() => redis.stop());
    const ports = [await freePort(), await freePort()] as const;
    const start = (port: number): Promise<Running> => startReplica(redis.url, port);
    const replicas = [await start(ports[0]), await start(ports[1])] as const;
    const addresses = ports.map((port) => `127.0.0.1:${port}`);
    const { url, ready } = await startHaproxy(addresses);
    const names = Array.from({ length: PREFIXES }, (_, i) => `users/${i}`);
    for (const name of names) await upload(url, name);

    // Affinity: a request meets its prefix in memory, after the first for it.
    const warm = await load(url, (i) => i < 8 * PREFIXES);
    expect(warm).toEqual({ answered: 8 * PREFIXES, broken: 0, lost: [] });
    const [hits, queries] = await warmth(addresses);
    console.log(`warm: ${hits} of ${queries} requests`);
    expect(hits / queries).toBeGreaterThan(0.8);
    expect(await gaps(url)).toBeGreaterThan(5);

    // A rolling restart: nothing is lost, no stream breaks.
    const rolled = run(url);
    await rolled.under(20);
    const restarted: Running[] = [];
    for (const [i, replica] of replicas.entries()) {
      replica.process.kill('SIGTERM');
      expect(await exitStatus(replica)).toBe(0);
      restarted.push(await start(ports[i] as number));
      await expect.poll(ready, patience).toBe(2);
      await rolled.under(20);
    }
    const afterRestart = await rolled.stop();
    console.log('rolling restart:', afterRestart);
    expect(afterRestart).toMatchObject({ broken: 0, lost: [] });

    // A crash: only the streams that had begun there break.
    const crashed = run(url);
    await crashed.under(20);
    const [, b] = restarted as [Running, Running];
    const gone = once(b.process, 'exit');
    b.process.kill('SIGKILL');
    await gone;
    await crashed.under(40);
    const afterCrash = await crashed.stop();
    console.log('kill -9:', afterCrash);
    expect(afterCrash.lost).toEqual([]);
    expect(afterCrash.broken).toBeLessThanOrEqual(CLIENTS);
  },
  10 * 60_000,
);

async function startReplica(store: string, port: number): Promise<Running> {
  const running = await startProgram({
    PREAMBLE_STORE: store,
    PREAMBLE_API_KEYS: `t=${key}`,
    PREAMBLE_CACHE: testModelCache,
    PREAMBLE_SLOTS: '8',
    PREAMBLE_THREADS: '2',
    PREAMBLE_LAME_DUCK_SECONDS: '1',
    PREAMBLE_DRAIN_SECONDS: '120',
    PORT: String(port),
  });
  await addressOf(running);
  return running;
}

/** Again where Redis is late on a busy machine: the server says so with 503. */
async function upload(url: string, name: string): Promise<void> {
  const body = JSON.stringify({ name, text: `You are ${name}, and you speak accordingly.` });
  const send = async (): Promise<number> =>
    (await fetch(`${url}/v1/prefixes`, { method: 'POST', headers, body })).status;
  await expect.poll(send, patience).toSatisfy((status) => status === 201 || status === 200);
}

/** Clients one after the other ask for the prefixes in turn, half of them for streams, while `more` says so. */
async function load(url: string, more: (i: number) => boolean, counts = newCounts()): Promise<Counts> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; more(i); i = next++) await ask(url, i, counts);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return counts;
}

async function ask(url: string, i: number, counts: Counts): Promise<void> {
  const stream = i % 2 === 0;
  const model = `users/${(i * 37) % PREFIXES}`;
  // Some are under way for as long as a replica needs to leave.
  const tokens = i % 16 === 0 ? 200 : 16;
  const body = JSON.stringify({ model, prompt: [i % 100], max_tokens: tokens, ignore_eos: true, stream });
  const answer = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body }).catch(
    (error: Error) => `${error.message}: ${String(error.cause)}`,
  );
  if (typeof answer === 'string' || answer.status !== 200) {
    counts.lost.push(typeof answer === 'string' ? answer : `${answer.status} ${await answer.text()}`);
    return;
  }
  const text = await answer.text().catch(() => undefined);
  if (text?.endsWith(stream ? 'data: [DONE]\n\n' : '}')) counts.answered++;
  else if (stream) counts.broken++;
  else counts.lost.push('cut off');
}

/** Load that goes on until it is stopped. */
function run(url: string): { under: (answers: number) => Promise<void>; stop: () => Promise<Counts> } {
  let going = true;
  const counts = newCounts();
  const done = load(url, () => going, counts);
  return {
    under: (answers) => {
      const until = counts.answered + answers;
      return expect.poll(() => counts.answered, patience).toBeGreaterThanOrEqual(until);
    },
    stop: () => {
      going = false;
      return done;
    },
  };
}

function newCounts(): Counts {
  return { answered: 0, broken: 0, lost: [] };
}

/** Requests for a prefix that found it in memory, and all of them, over all replicas. */
async function warmth(addresses: readonly string[]): Promise<[number, number]> {
  const texts = await Promise.all(addresses.map(async (at) => (await fetch(`http://${at}/metrics`)).text()));
  const sum = (name: string): number =>
    texts
      .flatMap(parseSamples)
      .filter((sample) => sample.name === name)
      .reduce((total, { value }) => total + value, 0);
  return [sum('preamble_prefix_kv_hits_total'), sum('preamble_prefix_kv_queries_total')];
}

/** Pieces in which a stream of 64 tokens arrives. */
async function gaps(url: string): Promise<number> {
  const body = JSON.stringify({ model: 'users/1', prompt: [1], max_tokens: 64, ignore_eos: true, stream: true });
  const answer = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body });
  let pieces = 0;
  for await (const piece of answer.body ?? []) pieces += piece.length > 0 ? 1 : 0;
  return pieces;
}
