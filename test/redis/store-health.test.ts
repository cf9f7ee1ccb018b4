import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { send } from '../support/http.js';
import { addressOf, exitStatus, startProgram, startWorker, testModelCache } from '../support/program.js';
import { freePort, RedisServer } from '../support/redis-server.js';

let redis: RedisServer;
beforeEach(async () => {
  redis = await RedisServer.start();
});
afterEach(() => redis.stop());

/** A busy machine may need longer than the few seconds that it takes. */
const soon = { timeout: 30_000, interval: 50 };

async function operator(): Promise<RedisConnection['client']> {
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  return connection.client;
}

/** The log's lines about the store: level, and why it fails. */
function storeLines(output: { err: string }): string[] {
  const lines = output.err.split('\n').filter((line) => line.includes('"the store '));
  return lines.map((line) => {
    const { level, msg, reason, cause } = JSON.parse(line) as Record<string, string>;
    return [level, msg, reason, cause].filter((word) => word !== undefined).join(' ');
  });
}

const works = 'info the store works again';
/** A connection that is lost with data under way is reset; a new one is refused. */
const away = expect.stringMatching(/^warn the store fails unavailable (ECONNREFUSED|ECONNRESET|connection lost)$/);

it('what fails a store is logged once, and told by /readyz', async () => {
  const user = { name: 'secret-user', password: 'secret-password' };
  const admin = await operator();
  await admin.acl('SETUSER', user.name, 'on', `>${user.password}`, '~*', '&*', '+@all');
  const url = `redis://${user.name}:${user.password}@127.0.0.1:${redis.port}`;
  const program = await startProgram({ PREAMBLE_STORE: url, PREAMBLE_CACHE: testModelCache });
  const address = await addressOf(program);
  const upload = async (): Promise<string> => {
    const body = { name: 'secret-name', text: 'be brief' };
    const { status, text } = await send(address, { method: 'POST', path: '/v1/prefixes', body });
    return status < 300 ? 'stored' : (JSON.parse(text) as { error: { message: string } }).error.message;
  };
  const ready = async (): Promise<string> => {
    const { status, text } = await send(address, { path: '/readyz' });
    return `${status} ${(JSON.parse(text) as { status: string }).status}`;
  };
  /** Lets it fail until the log says so and a while longer, and looks at what is told meanwhile and afterwards. */
  const episode = async (begin: () => Promise<unknown>, end: () => Promise<unknown>, says: string, line: string) => {
    const before = storeLines(program.output).length;
    await begin();
    await expect.poll(upload, soon).toBe(`The store of prefixes ${says}`);
    await expect.poll(() => storeLines(program.output).slice(before), soon).toEqual([line]);
    for (let i = 0; i < 20; i++) {
      await upload();
      expect(await ready()).toBe('200 degraded');
      await delay(100);
    }
    await end();
    await expect.poll(ready, soon).toBe('200 ok');
    await expect.poll(upload, soon).toBe('stored');
    expect(storeLines(program.output).slice(before)).toEqual([line, works]);
  };

  expect([await upload(), await ready()]).toEqual(['stored', '200 ok']);
  await episode(
    () => admin.acl('SETUSER', user.name, '-eval', '-evalsha'),
    () => admin.acl('SETUSER', user.name, '+@all'),
    'refuses a command: the user in PREAMBLE_STORE lacks rights. Prefixes in memory are served.',
    'warn the store fails forbidden NOPERM',
  );
  const stopsWrites = 'takes no writes at present. Nothing was stored.';
  // The same content under the same name again is no write.
  await send(address, { method: 'DELETE', path: '/v1/prefixes/secret-name' });
  await episode(
    async () => admin.replicaof('127.0.0.1', await freePort()),
    () => admin.replicaof('NO', 'ONE'),
    stopsWrites,
    'warn the store fails read_only READONLY',
  );
  await send(address, { method: 'DELETE', path: '/v1/prefixes/secret-name' });
  await episode(
    () => admin.config('SET', 'min-replicas-to-write', '1'),
    () => admin.config('SET', 'min-replicas-to-write', '0'),
    stopsWrites,
    'warn the store fails read_only NOREPLICAS',
  );
  await send(address, { method: 'DELETE', path: '/v1/prefixes/secret-name' });
  await episode(
    () => admin.config('SET', 'maxmemory', '1'),
    () => admin.config('SET', 'maxmemory', '0'),
    'is full. Nothing was stored.',
    'warn the store fails full OOM',
  );
  expect(program.output.err).not.toContain('secret');
}, 180_000);

it('a Redis that is gone for a while is logged once when that begins and once when it ends', async () => {
  const settings = { PREAMBLE_STORE: redis.url, PREAMBLE_CACHE: testModelCache };
  const [program, worker] = [await startProgram(settings), await startWorker(settings)];
  const address = await addressOf(program);
  await expect.poll(() => worker.output.out, { timeout: 60_000 }).toContain('Preamble trains');
  await redis.kill();
  const list = async (): Promise<number> => (await send(address, { path: '/v1/files' })).status;
  await expect.poll(list, soon).toBe(503);
  for (let i = 0; i < 50; i++) {
    expect(await list()).toBe(503);
    await delay(100);
  }
  await redis.start();
  await expect.poll(list, soon).toBe(200);
  for (const { output } of [program, worker]) {
    await expect.poll(() => storeLines(output), soon).toEqual([away, works]);
    const { seconds } = JSON.parse(/^.*works again.*$/m.exec(output.err)?.[0] ?? '{}') as { seconds: number };
    expect(seconds).toBeGreaterThan(4);
    expect(seconds).toBeLessThan(60);
  }
  for (const running of [program, worker]) {
    running.process.kill('SIGTERM');
    expect(await exitStatus(running)).toBe(0);
    expect(storeLines(running.output)).toEqual([away, works]); // what it gives up as it ends is no failure
  }
}, 180_000);
