import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { adapterId } from '../../src/prefix/name.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { base, storeUpload } from '../prefix/fixtures.js';
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
  const root = `preamble:1:{${base.fingerprint.slice(0, 16)}:t}`;
  const ids = `${root}:ids`;
  let store: RedisPrefixStore;
  /** How often names were gone through. */
  let fills: () => number;
  const nameOf = (name: string): Promise<string | undefined> => store.nameOf('t', adapterId('t', name));
  const names = Array.from({ length: 250 }, (_, i) => (i % 2 === 0 ? `n/${i}` : `N/${i}`));

  beforeEach(async () => {
    await redis.client.flushdb();
    store = new RedisPrefixStore(redis, base.fingerprint);
    const list = vi.spyOn(store, 'list');
    fills = () => list.mock.calls.filter(([, options]) => options?.after === undefined).length;
  });

  /** As a server of before the index would have left it. */
  async function storeWithoutIndex(): Promise<void> {
    await Promise.all(names.map((name) => store.put('t', storeUpload(name, 1))));
    await redis.client.del(ids);
  }

  it('has each name from its upload to its deletion, and is gone with the last', async () => {
    for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
    await store.put('t', storeUpload('a', 2));
    await store.put('t', storeUpload('a', 2));
    expect(await redis.client.hgetall(ids)).toEqual({
      names: '2',
      [adapterId('t', 'a')]: 'a',
      [adapterId('t', 'b')]: 'b',
    });
    expect(await nameOf('c')).toBeUndefined();
    await store.delete('t', 'a');
    expect(await redis.client.hgetall(ids)).toEqual({ names: '1', [adapterId('t', 'b')]: 'b' });
    expect(await nameOf('a')).toBeUndefined();
    await store.delete('t', 'b');
    expect(await redis.client.exists(ids)).toBe(0);
    expect(await nameOf('b')).toBeUndefined();
    expect(fills()).toBe(0);
  });

  it('is filled once where it is missing, by whoever asks first for an id', async () => {
    await storeWithoutIndex();
    expect(await Promise.all(['n/0', 'N/249', 'c'].map(nameOf))).toEqual(['n/0', 'N/249', undefined]);
    expect(fills()).toBe(1);
    expect(await Promise.all(names.map(nameOf))).toEqual(names);
    expect(await new RedisPrefixStore(redis, base.fingerprint).nameOf('t', adapterId('t', 'n/0'))).toBe('n/0');
    expect(await nameOf('c')).toBeUndefined();
    expect(fills()).toBe(1);
    expect(await redis.client.hlen(ids)).toBe(names.length + 1);
  });

  /** Does something when the first page of names has been read. */
  function onFirstPage(work: () => Promise<unknown>): void {
    vi.mocked(store.list).mockImplementationOnce(async (...args) => {
      const page = await RedisPrefixStore.prototype.list.apply(store, args);
      await work();
      return page;
    });
  }

  it('is filled right while names come and go', async () => {
    await storeWithoutIndex();
    await store.put('t', storeUpload('new', 1));
    await store.delete('t', 'n/0');
    expect(await nameOf('new')).toBe('new'); // no need to look at all names for that
    expect(fills()).toBe(0);
    onFirstPage(async () => {
      for (const name of ['N/101', 'N/99']) await store.delete('t', name); // on the first page, and on the last
      await store.put('t', storeUpload('a', 1));
    });
    expect(await nameOf('c')).toBeUndefined();
    const left = names.filter((name) => !['n/0', 'N/101', 'N/99'].includes(name));
    expect(await Promise.all(left.map(nameOf))).toEqual(left);
    for (const name of ['n/0', 'N/101', 'N/99']) expect(await nameOf(name)).toBeUndefined();
    expect(await nameOf('a')).toBe('a');
    expect(fills()).toBe(1);
    expect(await redis.client.hlen(ids)).toBe(left.length + 2 + 1);
  });

  it('is filled again when servers of before still add names beside it', async () => {
    /** As they do it. */
    const put = async (name: string): Promise<void> => {
      const before = await redis.client.hgetall(ids);
      await store.put('t', storeUpload(name, 1));
      await redis.client.multi().del(ids).hset(ids, before).exec();
    };
    await store.put('t', storeUpload('b', 1));
    await put('c');
    expect(await nameOf('c')).toBe('c');
    await put('d');
    onFirstPage(() => put('a'));
    expect(await nameOf('d')).toBe('d');
    expect(await nameOf('a')).toBe('a');
    expect(fills()).toBe(3);
    expect(await nameOf('e')).toBeUndefined();
    expect(fills()).toBe(3);
  });

  it('counts a damaged name as one that it has', async () => {
    for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
    await redis.client.del(ids);
    const [record = ''] = await redis.client.keys(`${root}:name:a~*`);
    await redis.client.hset(record, 'current', '1 {');
    for (let i = 0; i < 3; i++) expect(await nameOf('c')).toBeUndefined();
    expect(fills()).toBe(1);
  });

  it('leaves nothing behind where every name was deleted by servers of before', async () => {
    await store.put('t', storeUpload('a', 1));
    const index = await redis.client.hgetall(ids);
    await store.delete('t', 'a');
    await redis.client.hset(ids, index);
    expect(await nameOf('b')).toBeUndefined();
    expect(await redis.client.keys('*')).toEqual(['preamble:1:tenants']);
  });

  it('can be asked while it cannot be filled', async () => {
    await storeWithoutIndex();
    vi.spyOn(store, 'list').mockRejectedValueOnce(new Error('Connection is closed.'));
    await expect(nameOf('n/0')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await nameOf('n/0')).toBe('n/0');
  });
});
