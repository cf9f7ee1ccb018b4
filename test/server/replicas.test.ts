import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { defaultConfig } from '../../src/config/config.js';
import { openTenancy } from '../../src/app/open/tenancy.js';
import { RedisConnection } from '../../src/redis/connection.js';
import type { IssuedKey } from '../../src/server/admin/schema.js';
import { RedisServer } from '../support/redis-server.js';
import { post, testServer, type TestServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

const adminKey = 'open-sesame-please';
const settings = { adminKey, apiKeys: [{ tenant: 'fixed', key: 'static-key' }] };

/** The bound for a key that was revoked elsewhere. Milliseconds. */
const REVOKED_WITHIN = 500;

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

interface Replica extends TestServer {
  readonly connection: RedisConnection;
}

/** One of several servers on the same Redis. */
async function replica(): Promise<Replica> {
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  const config = { ...defaultConfig(), ...settings };
  const deps = { ...(await openTenancy(config, connection)), library: await testLibrary() };
  return { ...(await testServer(settings, deps)), connection };
}

const complete = ({ app }: TestServer, key: string) =>
  post(app, '/v1/completions', { model: 'tiny', prompt: 'abc', max_tokens: 1 }, { authorization: `Bearer ${key}` });

const admin = ({ app }: TestServer, method: 'GET' | 'POST' | 'DELETE', path: string, payload?: object) =>
  app.inject({
    method,
    url: `/v1/admin${path}`,
    headers: { authorization: `Bearer ${adminKey}` },
    ...(payload && { payload }),
  });

async function createKey(server: TestServer, tenant = 'alice'): Promise<IssuedKey> {
  return (await admin(server, 'POST', '/keys', { tenant })).json<IssuedKey>();
}

/** Asks again and again until the key is refused. Milliseconds from `since` to the start of the last request that was let in. */
async function untilRefused(server: TestServer, key: string, since: number): Promise<number> {
  for (let last = 0; ;) {
    const started = performance.now() - since;
    const { status } = await complete(server, key);
    if (status === 401) return last;
    expect(status).toBe(200);
    last = started;
  }
}

describe('two servers on one Redis', () => {
  it('know each other’s keys at once', async () => {
    const [here, there] = [await replica(), await replica()];
    for (let i = 0; i < 5; i++) {
      const { key } = await createKey(here);
      expect((await complete(there, key)).status).toBe(200);
    }
    expect(there.engine.submitted.map(({ tenant }) => tenant)).toEqual(Array(5).fill('alice'));
  });

  it('refuse what the other has revoked', async () => {
    const [here, there] = [await replica(), await replica()];
    const { key, id } = await createKey(here);
    expect((await complete(there, key)).status).toBe(200);
    expect((await admin(here, 'DELETE', `/keys/${id}`)).statusCode).toBe(200);
    const revoked = performance.now();
    expect((await complete(here, key)).status).toBe(401);
    expect(await untilRefused(there, key, revoked)).toBeLessThan(REVOKED_WITHIN);
  });

  it('refuse the keys of a tenant that the other has deleted', async () => {
    const [here, there] = [await replica(), await replica()];
    const keys = [await createKey(here, 'gone'), await createKey(there, 'gone')];
    for (const { key } of keys) expect((await complete(there, key)).status).toBe(200);
    expect((await admin(here, 'DELETE', '/tenants/gone')).statusCode).toBe(200);
    const deleted = performance.now();
    for (const { key } of keys) expect(await untilRefused(there, key, deleted)).toBeLessThan(REVOKED_WITHIN);
  });

  it('refuse it in time though the message about it is lost', async () => {
    const [here, there] = [await replica(), await replica()];
    const { key, id } = await createKey(here);
    expect((await complete(there, key)).status).toBe(200);
    // As `revoke` does it, without the message.
    const revoked = performance.now();
    expect(await here.connection.client.del(`preamble:{tenancy}:key:${id}`)).toBe(1);
    expect(await untilRefused(there, key, revoked)).toBeLessThan(REVOKED_WITHIN);
  });

  it('hold a tenant to the limits that the other was told', async () => {
    const [here, there] = [await replica(), await replica()];
    const { key } = await createKey(here, 'limited');
    expect((await complete(there, key)).status).toBe(200);
    await admin(here, 'POST', '/tenants/limited', { requests_per_minute: 0 });
    await expect.poll(async () => (await complete(there, key)).status).toBe(429);
  });

  it('keep no key in Redis', async () => {
    const server = await replica();
    const { key, last4 } = await createKey(server);
    await complete(server, key);
    const { client } = server.connection;
    const stored: unknown[] = [];
    for (const name of await client.keys('*')) {
      const type = await client.type(name);
      stored.push(name, type === 'hash' ? await client.hgetall(name) : await client.zrange(name, '0', '-1'));
    }
    expect(JSON.stringify(stored)).toContain(last4);
    expect(JSON.stringify(stored)).not.toContain(key.slice(25, -4));
  });
});

describe('while Redis is away', () => {
  it('known keys go on, unknown ones are told to come again, and everything is back after', async () => {
    const server = await replica();
    const [known, unseen, revoked] = [await createKey(server), await createKey(server), await createKey(server)];
    for (const { key } of [known, revoked]) expect((await complete(server, key)).status).toBe(200);
    await admin(server, 'DELETE', `/keys/${revoked.id}`);

    await redis.kill();
    await expect.poll(() => server.connection.isReady).toBe(false);
    for (let i = 0; i < 3; i++) expect((await complete(server, known.key)).status).toBe(200);
    expect((await complete(server, `${known.key.slice(0, -1)}!`)).status).toBe(401);
    expect((await complete(server, 'static-key')).status).toBe(200);
    expect((await complete(server, 'nonsense')).status).toBe(401);
    for (const { key } of [unseen, revoked]) {
      const refused = await complete(server, key);
      expect(refused).toMatchObject({
        status: 503,
        body: { error: { code: 'store_unavailable', type: 'server_error' } },
      });
      expect(refused.headers['retry-after']).toBe('1');
    }
    const writes = [
      ['POST', '/keys', { tenant: 'a' }],
      ['DELETE', `/keys/${revoked.id}`, undefined],
      ['POST', '/tenants/a', { weight: 2 }],
      ['DELETE', '/tenants/a', undefined],
      ['GET', '/keys', undefined],
    ] as const;
    for (const [method, path, payload] of writes) {
      const refused = await admin(server, method, path, payload);
      expect(refused.json()).toMatchObject({ error: { code: 'store_unavailable' } });
      expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1']);
    }

    await redis.start();
    await expect.poll(() => server.connection.isReady, { timeout: 10_000 }).toBe(true);
    for (const { key } of [known, unseen]) expect((await complete(server, key)).status).toBe(200);
    expect((await complete(server, revoked.key)).status).toBe(401);
    await admin(server, 'DELETE', `/keys/${known.id}`);
    expect((await complete(server, known.key)).status).toBe(401);
  });
});
