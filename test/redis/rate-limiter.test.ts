import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisRateLimiter } from '../../src/redis/tenancy/rate-limiter.js';
import { RedisServer } from '../support/redis-server.js';
import { describeRateLimiter } from '../tenancy/rate-limiter-contract.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

async function connect(): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url: server.url });
  onTestFinished(() => connection.close());
  return connection;
}

describeRateLimiter('the limiter on Redis', async () => {
  const connection = await connect();
  await connection.client.flushall();
  return new RedisRateLimiter(connection);
});

describe('the limiter on Redis', () => {
  const limits = { requestsPerMinute: 3, tokensPerMinute: 100 };
  const cost = { requests: 1, tokens: 10 };

  it('is one for all replicas, and remembers nothing that is over', async () => {
    const connection = await connect();
    await connection.client.flushall();
    const [here, there] = [new RedisRateLimiter(connection), new RedisRateLimiter(await connect())];
    const first = await here.take('a', limits, cost);
    await there.take('a', limits, cost);
    await here.take('a', limits, cost);
    expect((await there.take('a', limits, cost)).refusal?.by).toBe('requests');
    await first.giveBack(cost);
    expect((await there.take('a', limits, cost)).tokens?.remaining).toBe(70);
    const [key] = await connection.client.keys('*');
    expect(await connection.client.pttl(key!)).toBeGreaterThan(50_000);
    expect(await connection.client.pttl(key!)).toBeLessThanOrEqual(61_000);
  });

  it('limits each replica on its own while Redis is away, and all together again after', async () => {
    const connection = await connect();
    await connection.client.flushall();
    const limiter = new RedisRateLimiter(connection);
    const taken = await limiter.take('a', limits, cost);
    await server.kill();
    await expect.poll(() => connection.isReady).toBe(false);
    await taken.giveBack(cost);
    for (let i = 0; i < 3; i++) expect((await limiter.take('a', limits, cost)).refusal).toBeUndefined();
    expect((await limiter.take('a', limits, cost)).refusal?.by).toBe('requests');
    await server.start();
    await expect.poll(() => connection.isReady, { timeout: 10_000 }).toBe(true);
    expect((await limiter.take('a', limits, cost)).requests?.remaining).toBe(1);
  });
});
