import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { openStore } from '../../src/app/open/store.js';
import { adapterId } from '../../src/prefix/name.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { base, storeUpload } from '../prefix/fixtures.js';
import { RedisServer } from '../support/redis-server.js';

const servers: RedisServer[] = [];
const connections: RedisConnection[] = [];
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function start(flags: readonly string[] = []): Promise<RedisServer> {
  return stoppedAfterwards(await RedisServer.start(flags));
}

function stoppedAfterwards(server: RedisServer): RedisServer {
  servers.push(server);
  return server;
}

async function connect({ url }: { url: string }): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url });
  connections.push(connection);
  return connection;
}

const storeOn = (connection: RedisConnection): RedisPrefixStore => new RedisPrefixStore(connection, base.fingerprint);
const unavailable = { name: 'StoreError', store: 'prefixes', code: 'store_unavailable', reason: 'unavailable' };

describe('a Redis that is away', () => {
  it('refuses everything at once, and serves again by itself', async () => {
    const server = await start();
    const connection = await connect(server);
    const store = storeOn(connection);
    const upload = storeUpload('a', 1);
    await store.put('t', upload);
    await server.kill();
    await expect.poll(() => connection.isReady).toBe(false);
    const before = performance.now();
    await expect(store.put('t', storeUpload('a', 2))).rejects.toMatchObject(unavailable);
    await expect(store.get('t', 'a')).rejects.toMatchObject(unavailable);
    await expect(store.read('t', 'a', upload.info.version, 'kv.safetensors')).rejects.toMatchObject(unavailable);
    await expect(store.list('t')).rejects.toMatchObject(unavailable);
    await expect(store.nameOf('t', adapterId('t', 'a'))).rejects.toMatchObject(unavailable);
    await expect(store.delete('t', 'a')).rejects.toMatchObject(unavailable);
    await expect(store.promote('t', 'a', upload.info.version)).rejects.toMatchObject(unavailable);
    expect(performance.now() - before).toBeLessThan(1500);
    await server.start();
    await expect.poll(() => connection.isReady, { timeout: 10_000 }).toBe(true);
    expect(await store.get('t', 'a')).toEqual({ ...upload.info, versions: [upload.info] });
  });

  it('refuses what is under way when it dies', async () => {
    const server = await start();
    const store = storeOn(await connect(server));
    server.pause();
    // Awaited from the start: uploads may fail before the kill is done.
    const uploads = Promise.allSettled([1, 2, 3].map((seed) => store.put('t', storeUpload('a', seed, 2_000_000))));
    await delay(20);
    await server.kill();
    for (const upload of await uploads) expect(upload).toMatchObject({ status: 'rejected', reason: unavailable });
  });

  it('refuses an upload after the time of one command when it hangs, the next at once, and what was left half-done harms nothing', async () => {
    const server = await start();
    const connection = await connect(server);
    const store = storeOn(connection);
    await store.put('t', storeUpload('a', 1));
    server.pause();
    const before = performance.now();
    await expect(store.put('t', storeUpload('a', 2))).rejects.toMatchObject(unavailable);
    expect(performance.now() - before).toBeLessThan(4000); // two would take 4 s
    await expect.poll(() => connection.isReady).toBe(false);
    const then = performance.now();
    for (let i = 0; i < 5; i++) await expect(store.get('t', 'a')).rejects.toMatchObject(unavailable);
    expect(performance.now() - then).toBeLessThan(1500);
    server.resume();
    await expect.poll(() => connection.isReady, { timeout: 10_000 }).toBe(true);
    const upload = storeUpload('a', 2);
    await store.put('t', upload);
    expect(await store.read('t', 'a', upload.info.version, 'adapter_model.safetensors')).toEqual(
      Buffer.from(upload.files.model),
    );
  });
});

describe('a Redis that cannot store', () => {
  it('says that it is full, and keeps nothing of what it refused', async () => {
    const connection = await connect(await start(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction']));
    const store = storeOn(connection);
    await store.put('t', storeUpload('a', 1));
    const keys = await connection.client.dbsize();
    const refused = store.put('t', storeUpload('b', 2, 5_000_000));
    await expect(refused).rejects.toMatchObject({ store: 'prefixes', code: 'store_full', reason: 'full' });
    expect(await connection.client.dbsize()).toBe(keys);
    expect(await store.get('t', 'b')).toBeUndefined();
    expect(await store.get('t', 'a')).toBeDefined();
  });

  it('refuses the commit as a whole when it is full just then', async () => {
    const connection = await connect(await start());
    const store = storeOn(connection);
    for (const name of ['a', 'c']) await store.put('t', storeUpload(name, 1));
    await connection.client.config('SET', 'maxmemory', '1');
    const { client, pieces } = connection;
    // The pieces get in, as if the last of them had filled it.
    const set = pieces.client.set.bind(pieces.client);
    pieces.client.set = (async (...args: Parameters<typeof set>) => {
      await client.config('SET', 'maxmemory', '0');
      const reply = await set(...args);
      await client.config('SET', 'maxmemory', '1');
      return reply;
    }) as typeof set;
    client.sadd = async () => 1;
    const refused = store.put('t', {
      ...storeUpload('b', 2),
      kv: undefined,
      files: { config: Buffer.alloc(0), model: Buffer.from('1') },
    });
    await expect(refused).rejects.toMatchObject({ code: 'store_full' });
    expect(await store.get('t', 'b')).toBeUndefined();
    expect((await store.list('t')).data.map(({ name }) => name)).toEqual(['a', 'c']);
    expect(await client.keys('*piece*')).toHaveLength(6);
    expect(await store.delete('t', 'a')).toBe(true); // which makes room
    for (const name of ['a', 'b']) expect(await store.nameOf('t', adapterId('t', name))).toBeUndefined();
    expect(await store.nameOf('t', adapterId('t', 'c'))).toBe('c');
  });

  it('says that it is a replica', async () => {
    const [primary, replica] = await Promise.all([start(), start()]);
    const store = storeOn(await connect(primary));
    await store.put('t', storeUpload('a', 1));
    const follower = await connect(replica);
    await follower.client.replicaof('127.0.0.1', primary.port);
    const reader = storeOn(follower);
    await expect.poll(() => reader.get('t', 'a').catch(() => undefined), { timeout: 20_000 }).toBeDefined();
    const refused = { store: 'prefixes', code: 'store_read_only', reason: 'read_only' };
    await expect(reader.put('t', storeUpload('b', 1))).rejects.toMatchObject(refused);
    await expect(reader.delete('t', 'a')).rejects.toMatchObject(refused);
    expect(await reader.nameOf('t', adapterId('t', 'a'))).toBe('a');
    expect(await reader.nameOf('t', adapterId('t', 'b'))).toBeUndefined();
    expect(await reader.put('t', storeUpload('a', 1))).toMatchObject({ created: false });
  });

  it('says that it is a node of a cluster', async () => {
    const one = stoppedAfterwards(await RedisServer.startNode());
    const other = stoppedAfterwards(await RedisServer.startNode());
    const [a, b] = [await connect(one), await connect(other)];
    await b.client.cluster('ADDSLOTSRANGE', 0, 16_383);
    await a.client.cluster('MEET', '127.0.0.1', other.port, other.busPort ?? 0);
    const failed = (): Promise<unknown> =>
      storeOn(a)
        .get('t', 'a')
        .catch((error: unknown) => error);
    const redirected = {
      code: 'store_redirected',
      reason: 'redirected',
      message: expect.stringContaining('PREAMBLE_STORE'),
    };
    await expect.poll(failed, { timeout: 20_000 }).toMatchObject(redirected);
    await expect(storeOn(a).put('t', storeUpload('a', 1))).rejects.toMatchObject(redirected);
  });
});

describe('a database of Redis', () => {
  it('is not taken for another when it is not there', async () => {
    const server = await start(['--requirepass', 'right-secret']);
    const url = `redis://:right-secret@127.0.0.1:${server.port}`;
    const missing: unknown = await openStore({ kind: 'redis', url: `${url}/99` }, base.fingerprint).catch(
      (reason: unknown) => reason,
    );
    expect(missing).toMatchObject({
      name: 'ConfigError',
      message: `PREAMBLE_STORE: 127.0.0.1:${server.port} has no database 99`,
    });
    const [first, third] = [await connect({ url }), await connect({ url: `${url}/3` })];
    await storeOn(third).put('t', storeUpload('a', 1));
    expect([await first.client.dbsize(), (await third.client.dbsize()) > 0]).toEqual([0, true]);
  });
});
