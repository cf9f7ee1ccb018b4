import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisFileStore } from '../../src/redis/files/redis-file-store.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { RedisTenancyStore } from '../../src/redis/tenancy/redis-tenancy-store.js';
import type { TenancyChange } from '../../src/tenancy/store.js';
import { workerOf } from '../jobs/fixtures.js';
import { base, storeUpload } from '../prefix/fixtures.js';
import { type MovableAddress, movableAddress } from '../support/movable-address.js';
import { freePort, RedisServer } from '../support/redis-server.js';
import { openJobQueue } from './open-job-queue.js';

let primary: RedisServer;
let replica: RedisServer;
beforeEach(async () => {
  [primary, replica] = await Promise.all([RedisServer.start(), RedisServer.start()]);
});
afterEach(() => Promise.all([primary.stop(), replica.stop()]));

/** The bound is 10 s; a busy machine may need more. */
const healed = { timeout: 30_000, interval: 50 };

async function connect(url: string): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url });
  onTestFinished(() => connection.close());
  return connection;
}

/** A process on the address: its stores, and what it hears and does. */
async function openProcess({ url }: MovableAddress) {
  const connection = await connect(url);
  const tenancy = await RedisTenancyStore.open(connection);
  const heard: (TenancyChange | undefined)[] = [];
  tenancy.onChange((change) => heard.push(change));
  const queue = openJobQueue(connection);
  const prefixes = new RedisPrefixStore(connection, base.fingerprint);
  return { connection, tenancy, heard, queue, prefixes, files: new RedisFileStore(connection) };
}

const newKey = (id: string) => ({ id, tenant: 't', label: undefined, created: 1, last4: 'abcd', salt: 's', hash: 'h' });

/** Makes the replica the primary, and leaves the old one as a replica that hears nothing of it. */
async function failOver(address: MovableAddress): Promise<void> {
  const [old, next] = [await connect(primary.url), await connect(replica.url)];
  await next.client.replicaof('NO', 'ONE');
  await old.client.replicaof('127.0.0.1', await freePort());
  address.moveTo(replica.port);
}

it('everything moves to the new primary, though the old one keeps its connections', async () => {
  const address = await movableAddress(primary.port);
  const [a, b] = [await openProcess(address), await openProcess(address)];
  const done: string[] = [];
  await b.queue.work(workerOf(async ({ id }) => (done.push(id), 'done')));
  await a.queue.add({ tenant: 't', id: 'first' });
  await expect.poll(() => done).toEqual(['first']);
  await a.tenancy.addKey(newKey('k1'));
  const follower = await connect(replica.url);
  await follower.client.replicaof('127.0.0.1', primary.port);
  await expect.poll(() => follower.client.info('replication'), { timeout: 20_000 }).toContain('master_link_status:up');
  await expect
    .poll(() => follower.client.dbsize(), { timeout: 20_000 })
    .toBe(await (await connect(primary.url)).client.dbsize());

  await failOver(address);
  const kept = { id: 'f', filename: 'f', purpose: 'fine-tune', bytes: 1_000_000, created: 1 } as const;
  await expect
    .poll(() => a.prefixes.put('t', storeUpload('large', 1, 1_500_000)).then(() => 'stored', String), healed)
    .toBe('stored');
  await expect
    .poll(() => a.files.put('t', kept, Buffer.alloc(1_000_000)).then(() => 'stored', String), healed)
    .toBe('stored');
  expect((await b.prefixes.get('t', 'large'))?.name).toBe('large');
  b.heard.length = 0;
  await expect.poll(() => a.tenancy.revokeKey('k1').then(() => 'revoked', String), healed).toBe('revoked');
  await expect.poll(() => b.heard, healed).toContainEqual({ revoked: ['k1'] });
  await a.queue.add({ tenant: 't', id: 'second' });
  await expect.poll(() => done, healed).toEqual(['first', 'second']);
}, 120_000);

it('a Redis that stays a replica is read, and is not asked again and again', async () => {
  const address = await movableAddress(primary.port);
  const a = await openProcess(address);
  const begun: string[] = [];
  let end: () => void = () => undefined;
  await a.queue.work(
    workerOf(async ({ id }) => {
      begun.push(id);
      await new Promise<void>((resolve) => (end = resolve));
      return 'done';
    }),
  );
  await a.queue.add({ tenant: 't', id: 'first' });
  await expect.poll(() => begun).toEqual(['first']);
  await a.prefixes.put('t', storeUpload('a', 1));
  const operator = await connect(primary.url);
  await operator.client.replicaof('127.0.0.1', await freePort());
  end();
  const before = { opened: address.opened, refused: await refusedOf(operator) };
  for (let i = 0; i < 20; i++) {
    await expect(a.prefixes.put('t', storeUpload('b', 1))).rejects.toMatchObject({ code: 'store_read_only' });
    expect((await a.prefixes.get('t', 'a'))?.name).toBe('a');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await expect(a.queue.add({ tenant: 't', id: 'second' })).rejects.toMatchObject({ code: 'store_read_only' });
  expect(address.opened - before.opened).toBeLessThan(10);
  expect((await refusedOf(operator)) - before.refused).toBeLessThan(1500);
});

async function refusedOf({ client }: RedisConnection): Promise<number> {
  const counts = (await client.info('commandstats')).matchAll(/rejected_calls=(\d+),failed_calls=(\d+)/g);
  return [...counts].reduce((sum, [, rejected, failed]) => sum + Number(rejected) + Number(failed), 0);
}
