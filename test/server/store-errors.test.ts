import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisFileStore } from '../../src/redis/files/redis-file-store.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { freePort, RedisServer } from '../support/redis-server.js';
import { inForce, refusedBy, serverOn } from './every-store.js';
import { base } from './harness.js';

let redis: RedisServer;
afterEach(() => redis.stop());

/** A server all of whose stores are on a Redis of its own. */
async function serverOnRedis() {
  redis = await RedisServer.start();
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  const server = await serverOn({
    prefixes: new CachedPrefixStore(new RedisPrefixStore(connection, base.fingerprint)),
    files: new RedisFileStore(connection),
    jobs: new RedisJobStore<FineTuningJob>(connection, FINE_TUNING),
    connection,
  });
  return { ...server, connection };
}

describe('an answer that a store prevents names the store and the reason', () => {
  it('where it is away', async () => {
    const { connection, reads, writes } = await serverOnRedis();
    await redis.kill();
    await expect.poll(() => connection.isReady).toBe(false);
    const served = { prefixes: ' Prefixes in memory are served.' } as Record<string, string>;
    for (const [store, read] of Object.entries(reads)) {
      const message = `The store of ${store} is away.${served[store] ?? ''}`;
      expect(await read()).toEqual(refusedBy('store_unavailable', message));
    }
    for (const [store, write] of Object.entries(writes)) {
      const asked = store === 'jobs' ? 'files' : store; // a job's file is looked for first
      const message = `The store of ${asked} is away.${served[asked] ?? ''}`;
      expect(await write()).toEqual(refusedBy('store_unavailable', inForce(store, message)));
    }
  });

  it('where it is full', async () => {
    const { connection, failures, reads, writes } = await serverOnRedis();
    await connection.client.config('SET', 'maxmemory-policy', 'noeviction');
    await connection.client.config('SET', 'maxmemory', '1');
    for (const [store, write] of Object.entries(writes))
      expect(await write()).toEqual(
        refusedBy('store_full', inForce(store, `The store of ${store} is full. Nothing was stored.`)),
      );
    expect(failures.map(({ store, reason }) => `${store} ${reason}`)).toEqual(
      Object.keys(writes).map((store) => `${store} full`),
    );
    for (const read of Object.values(reads)) expect((await read()).status).toBe(200);
  });

  it('where it takes no writes', async () => {
    const { connection, reads, writes } = await serverOnRedis();
    // A replica whose primary is away serves what it has.
    await connection.client.replicaof('127.0.0.1', await freePort());
    for (const [store, write] of Object.entries(writes)) {
      const message = inForce(store, `The store of ${store} takes no writes at present. Nothing was stored.`);
      expect(await write()).toEqual(refusedBy('store_read_only', message));
    }
    for (const read of Object.values(reads)) expect((await read()).status).toBe(200);
  });
});

describe('a key that is revoked is refused here at once', () => {
  const besides = 'This server refuses the key until it restarts; repeat the call to revoke it for good.';

  it.each([
    ['is away', 'store_unavailable', 'is away.', () => redis.kill()],
    [
      'takes no writes',
      'store_read_only',
      'takes no writes at present. Nothing was stored.',
      async ({ client }: RedisConnection) => client.replicaof('127.0.0.1', await freePort()),
    ],
  ])('though Redis %s', async (_, code, problem, prevent) => {
    const { connection, tenancy, ask } = await serverOnRedis();
    const { text, record } = await tenancy.createKey({ tenant: 'bob', label: undefined });
    expect((await ask('GET', '/v1/prefixes', { key: text })).status).toBe(200);
    await prevent(connection);
    const revoked = await ask('DELETE', `/v1/admin/keys/${record.id}`);
    expect(revoked).toEqual(refusedBy(code, `The store of keys ${problem} ${besides}`));
    expect((await ask('GET', '/v1/prefixes', { key: text })).status).toBe(401);
  });
});
