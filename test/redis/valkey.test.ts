import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisFileStore } from '../../src/redis/files/redis-file-store.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { requireRights } from '../../src/redis/rights.js';
import { RedisRateLimiter } from '../../src/redis/tenancy/rate-limiter.js';
import { RedisTenancyStore } from '../../src/redis/tenancy/redis-tenancy-store.js';
import { describeFileStore } from '../files/file-store-contract.js';
import { workerOf } from '../jobs/fixtures.js';
import { describeJobStore } from '../jobs/job-store-contract.js';
import { describeStore } from '../prefix/store-contract.js';
import { RedisServer } from '../support/redis-server.js';
import { makeDocumentedUser } from '../support/redis-user.js';
import { describeRateLimiter } from '../tenancy/rate-limiter-contract.js';
import { describeTenancyStore } from '../tenancy/store-contract.js';
import { openJobQueue } from './open-job-queue.js';

/** All is done as the documented user. */
describe.skipIf(inject('valkey') === null)('on Valkey', () => {
  let server: RedisServer;
  let admin: RedisConnection;
  let url: string;
  let redis: RedisConnection;
  beforeAll(async () => {
    server = await RedisServer.startValkey(['--appendfsync', 'no']); // a thousand events, one by one
    admin = await RedisConnection.open({ url: server.url });
    url = await makeDocumentedUser(admin, server.port);
    redis = await RedisConnection.open({ url });
  });
  afterAll(async () => {
    redis.close();
    admin.close();
    await server.stop();
  });

  const emptied = async (): Promise<void> => {
    await admin.client.flushdb();
  };

  describeStore('the store', async () => {
    await emptied();
    return async (fingerprint) => new RedisPrefixStore(redis, fingerprint);
  });

  describeTenancyStore('the store', async () => {
    await emptied();
    return async () => RedisTenancyStore.open(redis);
  });

  describeFileStore('the store', async () => {
    await emptied();
    return async () => new RedisFileStore(redis);
  });

  describeJobStore('the store', async () => {
    await emptied();
    return async (maxFinished) => new RedisJobStore<FineTuningJob>(redis, FINE_TUNING, maxFinished);
  });

  describeRateLimiter('the limiter', async () => {
    await emptied();
    return new RedisRateLimiter(redis);
  });

  it('a job reaches a worker, and nothing of it is left in the queue', async () => {
    const queue = openJobQueue(redis);
    const done: string[] = [];
    await queue.work(workerOf(async ({ id }) => (done.push(id), 'done')));
    await queue.add({ tenant: 't', id: 'job' });
    await expect.poll(() => done, { timeout: 10_000 }).toEqual(['job']);
    await expect.poll(() => admin.client.keys('*:queue:*:job')).toEqual([]);
  });

  it('nothing that is needed is refused, and what is missing is named', async () => {
    await requireRights(redis);
    await admin.client.acl('SETUSER', 'preamble', '-hset');
    await expect(requireRights(redis)).rejects.toThrow(/^Redis does not let its user run HSET: /);
  });
});
