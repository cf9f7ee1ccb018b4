import { expect, it } from 'vitest';

import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import { describeRateLimiter } from './rate-limiter-contract.js';

describeRateLimiter('the limiter of one process', async () => new MemoryRateLimiter());

it('gives back evenly over a minute, and all of it after one', async () => {
  let now = 1000;
  const limiter = new MemoryRateLimiter(() => now);
  const limits = { requestsPerMinute: 6, tokensPerMinute: null };
  const take = async () => (await limiter.take('a', limits, { requests: 1, tokens: 5 })).refusal;
  for (let i = 0; i < 6; i++) expect(await take()).toBeUndefined();
  expect(await take()).toEqual({ by: 'requests', retryAfterMs: 10_000 });
  now += 9_999;
  expect(await take()).toEqual({ by: 'requests', retryAfterMs: 1 });
  now += 1;
  expect(await take()).toBeUndefined();
  expect(await take()).toEqual({ by: 'requests', retryAfterMs: 10_000 });
  now += 3_600_000;
  for (let i = 0; i < 6; i++) expect(await take()).toBeUndefined();
  expect(await take()).toBeDefined();
});
