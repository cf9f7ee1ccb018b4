import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { adapterId } from '../../src/prefix/name.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { crashUpload, operationOf } from '../prefix/crash-plan.js';
import { base, storeUpload } from '../prefix/fixtures.js';
import { RedisServer } from '../support/redis-server.js';

const KILLS = 200;
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-chaos-'));
let server: RedisServer;

beforeAll(async () => {
  // Node 20 runs no TypeScript: the child is bundled once, ioredis beside it.
  await build({
    configFile: false,
    logLevel: 'silent',
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(new URL('crash-child.ts', import.meta.url)),
      outDir: path.join(temporary, 'child'),
      target: 'node20',
      rollupOptions: { output: { entryFileNames: 'child.mjs' } },
    },
  });
});
afterAll(() => fs.rmSync(temporary, { recursive: true }));
beforeEach(async () => {
  server = await RedisServer.start();
});
afterEach(() => server.stop());

/** Numbers of the versions that each name has, oldest first. */
type State = ReadonlyMap<string, readonly number[]>;

function apply(state: State, number: number): State {
  const { kind, name } = operationOf(number);
  const next = new Map(state);
  if (kind === 'put') next.set(name, [...(state.get(name) ?? []), number]);
  else next.delete(name);
  return next;
}

/** Seeded: the same moments in every run. */
function random(seed: number): number {
  return ((Math.imul(seed + 1, 2_654_435_761) >>> 0) % 1000) / 1000;
}

/** What the store holds; every file of every version is compared with what was uploaded. */
async function readState(store: RedisPrefixStore): Promise<State> {
  const state = new Map<string, number[]>();
  for (const { name } of (await store.list('t')).data) {
    const versions = (await store.get('t', name))?.versions ?? [];
    expect(await store.nameOf('t', adapterId('t', name))).toBe(name);
    const numbers = versions.map(({ created }) => created - 1_700_000_000).reverse();
    state.set(name, numbers);
    for (const number of numbers) {
      const { info, files, kv } = crashUpload(name, number);
      const read = async (file: Parameters<RedisPrefixStore['read']>[3], bytes: Uint8Array): Promise<void> => {
        const stored = (await store.read('t', name, info.version, file)) ?? new Uint8Array();
        expect(Buffer.compare(stored, bytes), `${name}, version ${number}, ${file}`).toBe(0);
      };
      await read('adapter_config.json', files.config);
      await read('adapter_model.safetensors', files.model);
      await read('kv.safetensors', kv as Uint8Array);
    }
  }
  return state;
}

interface Progress {
  /** Number of the last operation that was acknowledged. */
  done: number;
  /** Number of the last one that was begun. */
  started: number;
}

/** Works in this process until Redis is killed. */
async function workUntilRedisDies(first: number, kill: number): Promise<Progress> {
  const connection = await RedisConnection.open({ url: server.url });
  const store = new RedisPrefixStore(connection, base.fingerprint);
  const progress = { done: first - 1, started: first };
  const killed = delay(random(kill) * 40).then(() => server.kill());
  try {
    for (let number = first; ; number++) {
      progress.started = number;
      const { kind, name } = operationOf(number);
      if (kind === 'put') await store.put('t', crashUpload(name, number));
      else await store.delete('t', name);
      progress.done = number;
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'store_unavailable' });
  }
  connection.close();
  await killed;
  await restart();
  return progress;
}

/**
 * Starts Redis as docs/operations.md says after a kill: the file written anew. Killed inside a command of a transaction, Redis 7 leaves
 * the transaction in its file without its end; the next one would end it too, long after it was given up.
 */
async function restart(): Promise<void> {
  await server.start();
  const connection = await RedisConnection.open({ url: server.url });
  const { client } = connection;
  await client.bgrewriteaof();
  await expect
    .poll(() => client.info('persistence'), { interval: 2, timeout: 10_000 })
    .toMatch(/aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/);
  connection.close();
}

/** Lets a child work until it is killed. */
async function killChild(first: number, kill: number): Promise<Progress> {
  const child: ChildProcess = spawn(
    process.execPath,
    [path.join(temporary, 'child/child.mjs'), server.url, String(first)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), random(kill) * 40);
    output += chunk.toString();
  });
  const [, signal] = (await once(child, 'close')) as [unknown, string];
  expect(signal).toBe('SIGKILL');
  const lines = output.split('\n').filter((line) => line !== '');
  const done = lines.filter((line) => line.endsWith(' done')).at(-1);
  return {
    done: done === undefined ? first - 1 : Number.parseInt(done, 10),
    started: Number.parseInt(lines.at(-1) ?? '', 10),
  };
}

describe('the store on Redis', () => {
  it(`loses and tears nothing when Redis or its client is killed ${KILLS} times`, async () => {
    let state: State = new Map();
    let next = 0;
    for (let kills = 0; kills < KILLS; kills++) {
      const ofRedis = kills % 8 < 7; // a child takes longest to start
      const { done, started } = await (ofRedis ? workUntilRedisDies(next, kills) : killChild(next, kills));
      const numbers = Array.from({ length: done + 1 - next }, (_, i) => next + i);
      const connection = await RedisConnection.open({ url: server.url });
      const found = await readState(new RedisPrefixStore(connection, base.fingerprint));
      // The one operation that was not acknowledged may have happened or not, but not in part.
      const settled = numbers.reduce(apply, state);
      const candidates = [settled, ...(started > done ? [apply(settled, started)] : [])];
      const sorted = (of: State): unknown => [...of].sort();
      expect(candidates.map(sorted)).toContainEqual(sorted(found));
      state = found;
      next = Math.max(done, started) + 1;
      // A short history keeps each check short.
      if (state.size > 0 && kills % 10 === 9) {
        await connection.client.flushdb();
        state = new Map();
      }
      connection.close();
    }
    console.log(`${KILLS} kills, ${next} uploads and deletions`);
    expect(next).toBeGreaterThan(KILLS); // it did work between the kills
  }, 240_000);

  it('answers everyone while Redis dies under load, and keeps what it acknowledged', async () => {
    const connection = await RedisConnection.open({ url: server.url });
    const store = new RedisPrefixStore(connection, base.fingerprint);
    const acknowledged: string[] = [];
    const counts = { ok: 0, unavailable: 0 };
    const until = Date.now() + 4000;
    const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
      const began = performance.now();
      try {
        await work();
        counts.ok++;
        return true;
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'store_unavailable') throw error;
        expect(performance.now() - began).toBeLessThan(4000);
        counts.unavailable++;
        await delay(5);
        return false;
      }
    };
    const worker = async (id: number): Promise<void> => {
      for (let i = 0; Date.now() < until; i++) {
        const upload = storeUpload(`w${id}/${i % 20}`, i + 1, 50_000);
        const { name, version } = upload.info;
        if (await attempt(() => store.put('t', upload))) acknowledged.push(`${name}@${version}`);
        await attempt(() => store.get('t', name));
        await attempt(() => store.read('t', name, version, 'adapter_model.safetensors'));
      }
    };
    const chaos = async (): Promise<void> => {
      for (let kill = 0; kill < 4; kill++) {
        await delay(300 + random(kill) * 300);
        await server.kill();
        await delay(random(kill + 9) * 200);
        await restart();
      }
    };
    await Promise.all([...Array.from({ length: 8 }, (_, id) => worker(id)), chaos()]);
    await expect.poll(() => connection.isReady, { timeout: 10_000 }).toBe(true);
    expect(counts.unavailable).toBeGreaterThan(0);
    expect(acknowledged.length).toBeGreaterThan(20);
    for (const reference of acknowledged) {
      const [name = '', version = ''] = reference.split('@');
      const seed = Number.parseInt(version.slice(0, 12), 16);
      const bytes = await store.read('t', name, version, 'adapter_model.safetensors');
      expect(Buffer.compare(bytes ?? Buffer.alloc(0), storeUpload(name, seed, 50_000).files.model), reference).toBe(0);
    }
    console.log(`${counts.ok} done, ${counts.unavailable} refused, ${acknowledged.length} uploads there`);
    connection.close();
  });
});
