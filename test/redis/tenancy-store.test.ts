import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisTenancyStore } from '../../src/redis/tenancy/redis-tenancy-store.js';
import { issueKey } from '../../src/tenancy/managed-key.js';
import { RedisServer } from '../support/redis-server.js';
import { describeTenancyStore } from '../tenancy/store-contract.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await (await connect()).client.flushall();
});

async function connect(): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url: server.url });
  onTestFinished(() => connection.close());
  return connection;
}

describeTenancyStore('the store on Redis', async () => async () => RedisTenancyStore.open(await connect()));

describe('the store on Redis', () => {
  it('tells other processes, and those that may have missed something', async () => {
    const connection = await connect();
    const [here, there] = [await RedisTenancyStore.open(connection), await RedisTenancyStore.open(await connect())];
    const heard: unknown[] = [];
    there.onChange((change) => heard.push(change));
    const { record } = issueKey({ tenant: 'a', label: undefined }, 1e12);
    await here.addKey(record);
    await here.revokeKey(record.id);
    await expect.poll(() => heard).toEqual([{ revoked: [] }, { revoked: [record.id] }]);
    const { client } = await connect();
    for (const message of ['nonsense', '{}', '{"revoked":1}'])
      await client.publish('preamble:{tenancy}:changes', message);
    await expect.poll(() => heard.slice(2)).toEqual([undefined, undefined, undefined]);
    await server.kill();
    await server.start();
    await expect.poll(() => heard.length, { timeout: 10_000 }).toBe(6);
    expect(heard[5]).toBeUndefined();
    await expect.poll(() => connection.isReady).toBe(true); // each comes back by itself
    expect(await here.getTenant('a')).toMatchObject({ tenant: 'a' });
  });

  it('keeps hashes and never a key, and leaves nothing of what was deleted', async () => {
    const connection = await connect();
    const store = await RedisTenancyStore.open(connection);
    const keys = ['a', 'a', 'b'].map((tenant) => issueKey({ tenant, label: 'l' }, 1e12));
    for (const { record } of keys) await store.addKey(record);
    const everything = await dump(connection);
    for (const { text, record } of keys) {
      expect(everything).toContain(record.hash);
      expect(everything).not.toContain(text.slice(-43, -4));
    }
    for (const tenant of ['a', 'b']) await store.deleteTenant(tenant);
    expect(await connection.client.keys('*')).toEqual([]);
  });

  it('says at once that it is away', async () => {
    const store = await RedisTenancyStore.open(await connect());
    await server.kill();
    onTestFinished(() => server.start());
    const away = (store: string) => ({ name: 'StoreError', store, code: 'store_unavailable' });
    const { record } = issueKey({ tenant: 'a', label: undefined }, 1e12);
    await expect(store.getTenant('a')).rejects.toMatchObject(away('tenants'));
    await expect(store.setTenant('a', {}, 1)).rejects.toMatchObject(away('tenants'));
    await expect(store.deleteTenant('a')).rejects.toMatchObject(away('tenants'));
    await expect(store.listTenants({ limit: 1 })).rejects.toMatchObject(away('tenants'));
    await expect(store.getKey(record.id)).rejects.toMatchObject(away('keys'));
    await expect(store.addKey(record)).rejects.toMatchObject(away('keys'));
    await expect(store.revokeKey(record.id)).rejects.toMatchObject(away('keys'));
    await expect(store.listKeys({ limit: 1 })).rejects.toMatchObject(away('keys'));
  });
});

async function dump({ client }: RedisConnection): Promise<string> {
  const values = (await client.keys('*')).map(async (key) =>
    (await client.type(key)) === 'hash' ? [key, await client.hgetall(key)] : [key, await client.zrange(key, '0', '-1')],
  );
  return JSON.stringify(await Promise.all(values));
}
