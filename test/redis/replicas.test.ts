import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { type LoadedPrefix, PrefixLibrary } from '../../src/prefix/library.js';
import { adapterId } from '../../src/prefix/name.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { forgetChanges } from '../../src/redis/prefixes/changes.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { base, FakeEncoder, prefixFiles } from '../prefix/fixtures.js';
import { RedisServer } from '../support/redis-server.js';

let server: RedisServer;
const connections: RedisConnection[] = [];
let a: PrefixLibrary;
let b: PrefixLibrary;

async function openReplica(): Promise<PrefixLibrary> {
  const connection = await RedisConnection.open({ url: server.url });
  connections.push(connection);
  const store = new CachedPrefixStore(new RedisPrefixStore(connection, base.fingerprint));
  await forgetChanges(connection, base.fingerprint, store);
  return new PrefixLibrary({ store, base, encoder: new FakeEncoder(), cacheBytes: 1 << 20 });
}

beforeAll(async () => {
  server = await RedisServer.start();
  [a, b] = await Promise.all([openReplica(), openReplica()]);
});
afterAll(async () => {
  for (const connection of connections) connection.close();
  await server.stop();
});
beforeEach(() => connections[0]?.client.flushdb());

const notFound = { code: 'prefix_not_found' };
const unavailable = { code: 'store_unavailable' };
/** The bound on how old an answer may be. */
const soon = { timeout: 500, interval: 5 };
const ready = (): Promise<void> =>
  expect.poll(() => connections.every(({ isReady }) => isReady), { timeout: 10_000 }).toBe(true);

async function loadById(library: PrefixLibrary, name: string): Promise<LoadedPrefix> {
  return library.load('t', await library.nameOf('t', adapterId('t', name)));
}

/** Uploads, moves the name and deletes it on one replica; the other must see each change in time. */
async function changesAreSeen(name: string): Promise<void> {
  const first = await a.upload('t', { name, ...prefixFiles(3, 1) });
  expect((await b.load('t', name)).info.version).toBe(first.record.version);
  const second = await a.upload('t', { name, ...prefixFiles(3, 2) });
  await expect.poll(async () => (await b.load('t', name)).info.version, soon).toBe(second.record.version);
  expect((await loadById(b, name)).info).toMatchObject(second.record);
  expect((await b.load('t', name, first.record.version.slice(0, 12))).info).toMatchObject(first.record);
  await a.upload('t', { name, ...prefixFiles(3, 1) });
  await expect.poll(async () => (await b.load('t', name)).info.version, soon).toBe(first.record.version);
  await a.delete('t', name);
  await expect.poll(() => b.load('t', name).catch((error: unknown) => error), soon).toMatchObject(notFound);
  await expect(loadById(b, name)).rejects.toMatchObject(notFound);
}

describe('two replicas on one Redis', () => {
  it('see what the other changes', () => changesAreSeen('a'));

  it('see it in time though messages are missed', async () => {
    await a.upload('t', { name: 'kept', ...prefixFiles() });
    await b.load('t', 'kept');
    const [one] = connections as [RedisConnection];
    const { client } = one;
    // Redis lets nobody listen any more: what a connection that is half-open looks like.
    await client.acl('SETUSER', 'default', 'resetchannels');
    await expect.poll(async () => (await client.pubsub('NUMSUB', 'preamble:1:changes'))[1]).toBe(0);
    await client.acl('SETUSER', 'default', 'allchannels');
    await changesAreSeen('b');
  });

  it('see it in time while their subscriptions are killed again and again', async () => {
    const [one] = connections as [RedisConnection];
    const timer = setInterval(
      () => void one.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined),
      30,
    );
    try {
      for (const name of ['c', 'd', 'e']) await changesAreSeen(name);
    } finally {
      clearInterval(timer);
    }
    await ready();
  });

  it('go on with what is in memory while Redis is dead, and recover by themselves', async () => {
    await a.upload('t', { name: 'warm', ...prefixFiles(3, 1) });
    await a.upload('t', { name: 'cold', ...prefixFiles(3, 2) });
    await delay(50); // the uploads' own messages have come
    const { kv } = await loadById(b, 'warm');
    await server.kill();
    await expect.poll(() => connections.some(({ isReady }) => isReady)).toBe(false);
    const before = performance.now();
    expect((await b.load('t', 'warm')).kv).toBe(kv);
    expect((await loadById(b, 'warm')).kv).toBe(kv);
    await expect(loadById(b, 'cold')).rejects.toMatchObject(unavailable);
    await expect(b.load('t', 'cold')).rejects.toMatchObject(unavailable);
    await expect(b.upload('t', { name: 'warm', ...prefixFiles(3, 3) })).rejects.toMatchObject(unavailable);
    await expect(a.delete('t', 'cold')).rejects.toMatchObject(unavailable);
    expect(performance.now() - before).toBeLessThan(1500);
    await server.start();
    await ready();
    expect((await b.load('t', 'cold')).kv.length).toBe(3);
    await changesAreSeen('warm');
  });

  it('go on with what is in memory while Redis hangs', async () => {
    await a.upload('t', { name: 'warm', ...prefixFiles(3, 1) });
    await delay(50); // the upload's own message has come
    await loadById(b, 'warm');
    server.pause();
    try {
      const until = performance.now() + 1500;
      while (performance.now() < until) {
        expect((await b.load('t', 'warm')).kv.length).toBe(3);
        expect((await loadById(b, 'warm')).kv.length).toBe(3);
      }
      const before = performance.now();
      await expect(b.upload('t', { name: 'new', ...prefixFiles(3, 3) })).rejects.toMatchObject(unavailable);
      expect(performance.now() - before).toBeLessThan(2500);
    } finally {
      server.resume();
    }
    await expect.poll(() => b.list('t').catch(() => undefined), { timeout: 5000 }).toBeDefined();
    await changesAreSeen('warm');
  });
});
