import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { adapterId, nameKey } from '../../src/prefix/name.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { base, storeUpload } from '../prefix/fixtures.js';
import { type Damageable, describeRepair } from '../prefix/repair-contract.js';
import { describeStore } from '../prefix/store-contract.js';
import { RedisServer } from '../support/redis-server.js';

let server: RedisServer;
let redis: RedisConnection;
beforeAll(async () => {
  server = await RedisServer.start();
  redis = await RedisConnection.open({ url: server.url });
});
afterAll(async () => {
  redis.close();
  await server.stop();
});

describeStore('the store on Redis', async () => {
  await redis.client.flushdb();
  return async (fingerprint) => new RedisPrefixStore(redis, fingerprint);
});

const damaging = (damage: (record: string, version: string) => Promise<unknown>) => async (): Promise<Damageable> => {
  await redis.client.flushdb();
  const record = `preamble:1:{${base.fingerprint.slice(0, 16)}:t}:name:${nameKey('a')}`;
  return {
    open: async () => new RedisPrefixStore(redis, base.fingerprint),
    damage: ({ version }) => damage(record, `v:${version}`),
  };
};
const pieceKey = async (index: number): Promise<string> =>
  (await redis.client.keys(`preamble:1:*:piece:*:${index}`))[0] ?? '';

describeRepair('the store on Redis', {
  'a missing piece': damaging(async () => redis.client.unlink(await pieceKey(2))),
  'a changed piece': damaging(async () => redis.client.setrange(await pieceKey(2), 9, '!')),
  'no pieces at all': damaging(async () => redis.client.unlink(...(await redis.client.keys('*:piece:*')))),
  'a damaged entry': damaging((record, version) => redis.client.hset(record, version, '{', 'current', '{')),
  'a damaged current version': damaging((record) => redis.client.hset(record, 'current', '1 {')),
});

describe('on Redis', () => {
  let store: RedisPrefixStore;
  const root = `preamble:1:{${base.fingerprint.slice(0, 16)}:t}`;
  const pieces = (): Promise<string[]> => redis.client.keys(`${root}:piece:*`);
  beforeEach(async () => {
    await redis.client.flushdb();
    store = new RedisPrefixStore(redis, base.fingerprint);
  });

  it('values are cut into pieces that stay, and bytes are no text', async () => {
    const upload = storeUpload('a', 1, 3_000_000);
    await store.put('t', upload);
    expect(await pieces()).toHaveLength(3 * 6);
    for (const key of await pieces()) {
      expect(await redis.client.ttl(key)).toBe(-1);
      expect(await redis.client.strlen(key)).toBeLessThanOrEqual(512 * 1024);
    }
    const bytes = await store.read('t', 'a', upload.info.version, 'adapter_model.safetensors');
    expect(Buffer.compare(bytes ?? Buffer.alloc(0), upload.files.model)).toBe(0);
  });

  it('all keys of a tenant share a slot, and nothing is left of what was deleted', async () => {
    await store.put('t', { ...storeUpload('a', 1), text: 'Dear' });
    await store.put('t', storeUpload('a', 2));
    expect(await store.readText('t', 'a', storeUpload('a', 1).info.version)).toBe('Dear');
    for (const key of await redis.client.keys('*'))
      expect(key.startsWith(root) || key === 'preamble:1:tenants').toBe(true);
    await store.delete('t', 'a');
    expect(await redis.client.keys('*')).toEqual(['preamble:1:tenants']);
  });

  it('an upload of what is there, or over a quota, leaves no pieces', async () => {
    await store.put('t', storeUpload('a', 1));
    const before = await redis.client.dbsize();
    await Promise.all(Array.from({ length: 5 }, () => store.put('t', storeUpload('a', 1))));
    await expect(store.put('t', storeUpload('b', 1), { maxPrefixes: 1 })).rejects.toThrow();
    expect(await redis.client.dbsize()).toBe(before);
  });

  it('an upload that is never committed expires', async () => {
    const { client } = redis;
    const abandoned = { client: Object.create(client) as typeof client, pieces: redis.pieces };
    abandoned.client.sadd = () => Promise.reject(new Error('Connection is closed.'));
    const failed = new RedisPrefixStore(abandoned, base.fingerprint).put('t', storeUpload('a', 1));
    await expect(failed).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await pieces()).toHaveLength(3);
    for (const key of await pieces()) expect(await client.ttl(key)).toBeGreaterThan(0);
    expect(await store.get('t', 'a')).toBeUndefined();
  });

  it.each([
    ['changed', (key: string) => redis.client.set(key, 'x'.repeat(101))],
    ['shortened', (key: string) => redis.client.set(key, 'x')],
    ['evicted', (key: string) => redis.client.unlink(key)],
  ])('a piece that was %s is told of', async (_, damage) => {
    const { info } = storeUpload('a', 1);
    await store.put('t', storeUpload('a', 1));
    for (const key of await pieces()) await damage(key);
    const read = store.read('t', 'a', info.version, 'adapter_model.safetensors');
    await expect(read).rejects.toMatchObject({ code: 'prefix_damaged' });
    expect(await store.delete('t', 'a')).toBe(true);
  });

  it('a damaged record does not hide other names, and can be deleted', async () => {
    const { info } = storeUpload('a', 1);
    for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
    const [record] = await redis.client.keys(`${root}:name:a~*`);
    await redis.client.hset(record as string, 'current', '1 {', `v:${info.version}`, '1 {}');
    await expect(store.get('t', 'a')).rejects.toMatchObject({ code: 'prefix_damaged' });
    expect((await store.list('t')).data.map(({ name }) => name)).toEqual(['b']);
    expect(await store.delete('t', 'a')).toBe(true);
    expect(await store.put('t', storeUpload('a', 1))).toMatchObject({ created: true });
  });

  it('tells every change', async () => {
    const heard: unknown[] = [];
    await redis.subscribe('preamble:1:changes', (message) => heard.push(JSON.parse(message)));
    const [one, two] = [storeUpload('a', 1), storeUpload('a', 2)];
    await store.put('t', one);
    await store.put('t', two);
    await store.put('t', two);
    await store.promote('t', 'a', one.info.version);
    await store.delete('t', 'a');
    const change = { fingerprint: base.fingerprint.slice(0, 16), tenant: 't', name: 'a' };
    await expect
      .poll(() => heard)
      .toEqual([
        { ...change, version: one.info.version },
        { ...change, version: two.info.version },
        { ...change, version: one.info.version },
        change,
      ]);
  });
});

describe('the index of adapter ids on Redis', () => {
  const ids = `preamble:1:{${base.fingerprint.slice(0, 16)}:t}:ids`;
  let store: RedisPrefixStore;
  const nameOf = (name: string): Promise<string | undefined> => store.nameOf('t', adapterId('t', name));

  beforeEach(async () => {
    await redis.client.flushdb();
    store = new RedisPrefixStore(redis, base.fingerprint);
  });

  it('has each name from its upload to its deletion, and is gone with the last', async () => {
    for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
    await store.put('t', storeUpload('a', 2));
    await store.put('t', storeUpload('a', 2));
    expect(await redis.client.hgetall(ids)).toEqual({ [adapterId('t', 'a')]: 'a', [adapterId('t', 'b')]: 'b' });
    expect(await nameOf('c')).toBeUndefined();
    await store.delete('t', 'a');
    expect(await redis.client.hgetall(ids)).toEqual({ [adapterId('t', 'b')]: 'b' });
    expect(await nameOf('a')).toBeUndefined();
    await store.delete('t', 'b');
    expect(await redis.client.exists(ids)).toBe(0);
    expect(await nameOf('b')).toBeUndefined();
  });

  it('has ids and nothing else, whatever a request asks for', async () => {
    await store.put('t', storeUpload('a', 1));
    for (const word of ['names', 'bytes', 'ids', 'a~0', '']) expect(await store.nameOf('t', word)).toBeUndefined();
    await store.put('t', storeUpload('names', 1));
    expect(await store.nameOf('t', 'names')).toBe('names');
  });

  it('has damaged names too, and never counts or lists any', async () => {
    for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
    const [record = ''] = await redis.client.keys('*:name:a~*');
    await redis.client.hset(record, 'current', '1 {');
    const list = vi.spyOn(store, 'list');
    expect(await nameOf('a')).toBe('a');
    for (let i = 0; i < 3; i++) expect(await nameOf('c')).toBeUndefined();
    expect(list).not.toHaveBeenCalled();
  });

  it('holds every name of many uploads and deletions at the same time', async () => {
    const names = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? `n/${i}` : `N/${i}`));
    await Promise.all(names.map((name) => store.put('t', storeUpload(name, 1))));
    const gone = names.filter((_, i) => i % 3 === 0);
    await Promise.all([
      ...gone.map((name) => store.delete('t', name)),
      ...names.map((name) => store.put('t', storeUpload(`${name}/2`, 1))),
    ]);
    const left = names.filter((name) => !gone.includes(name));
    expect(await Promise.all(left.map(nameOf))).toEqual(left);
    expect(await Promise.all(gone.map(nameOf))).toEqual(gone.map(() => undefined));
    expect(await redis.client.hlen(ids)).toBe(left.length + names.length);
  });
});
