import { beforeEach, describe, expect, it } from 'vitest';

import type { Cost, RateLimiter, RateLimits } from '../../src/tenancy/rate-limiter.js';

/** 60,000 a minute come back one a millisecond; 10 a minute do not come back while a test runs. */
const limits = (requestsPerMinute: number | null, tokensPerMinute: number | null): RateLimits => ({
  requestsPerMinute,
  tokensPerMinute,
});

const take = (limiter: RateLimiter, of: RateLimits, tokens = 1, tenant = 'a') =>
  limiter.take(tenant, of, { requests: 1, tokens });

/** What every `RateLimiter` must do. `makeLimiter` gives each test one that has seen nothing. */
export function describeRateLimiter(kind: string, makeLimiter: () => Promise<RateLimiter>): void {
  describe(`${kind} keeps the contract of rate limits`, () => {
    let limiter: RateLimiter;
    beforeEach(async () => {
      limiter = await makeLimiter();
    });

    it('lets everything pass without a limit', async () => {
      for (let i = 0; i < 5; i++) {
        const admission = await take(limiter, limits(null, null), 1e9);
        expect([admission.refusal, admission.requests, admission.tokens]).toEqual([undefined, undefined, undefined]);
      }
    });

    it('lets as many requests pass as the limit says', async () => {
      const remaining: (number | undefined)[] = [];
      for (let i = 0; i < 3; i++) remaining.push((await take(limiter, limits(3, null))).requests?.remaining);
      expect(remaining).toEqual([2, 1, 0]);
      const { refusal, requests, tokens } = await take(limiter, limits(3, null));
      expect(refusal?.by).toBe('requests');
      expect(refusal?.retryAfterMs).toBeGreaterThan(15_000);
      expect(refusal?.retryAfterMs).toBeLessThanOrEqual(20_000);
      expect(requests).toMatchObject({ limit: 3, remaining: 0 });
      expect(requests?.resetMs).toBeLessThanOrEqual(60_000);
      expect(tokens).toBeUndefined();
    });

    it('lets exactly the limit of tokens pass, and not one more', async () => {
      expect((await take(limiter, limits(null, 10), 4)).tokens).toMatchObject({ limit: 10, remaining: 6 });
      expect((await take(limiter, limits(null, 10), 6)).refusal).toBeUndefined();
      const { refusal } = await take(limiter, limits(null, 10), 1);
      expect(refusal?.by).toBe('tokens');
      expect(refusal?.retryAfterMs).toBeLessThanOrEqual(6000);
      expect(refusal?.retryAfterMs).toBeGreaterThan(3000);
    });

    it('takes nothing for what it refuses, of either limit', async () => {
      const both = limits(2, 10);
      for (let i = 0; i < 9; i++) expect((await take(limiter, both, 11)).refusal?.by).toBe('tokens');
      expect((await take(limiter, both, 10)).requests).toMatchObject({ remaining: 1 });
      for (let i = 0; i < 9; i++) expect((await take(limiter, both, 10)).refusal?.by).toBe('tokens');
      const { giveBack } = await take(limiter, both, 0);
      for (let i = 0; i < 9; i++) expect((await take(limiter, both, 0)).refusal?.by).toBe('requests');
      await giveBack({ requests: 1, tokens: 0 });
      expect((await take(limiter, both, 0)).refusal).toBeUndefined();
    });

    it('names the limit that lasts longest, and says when a request never passes', async () => {
      await take(limiter, limits(1, 60_000), 60_000);
      expect((await take(limiter, limits(1, 60_000), 10)).refusal?.by).toBe('requests');
      expect((await take(limiter, limits(1, 60_000), 60_001)).refusal).toEqual({
        by: 'tokens',
        retryAfterMs: undefined,
      });
    });

    it('lets nothing pass at zero', async () => {
      expect((await take(limiter, limits(0, null))).refusal).toEqual({ by: 'requests', retryAfterMs: undefined });
      expect((await take(limiter, limits(null, 0))).refusal).toEqual({ by: 'tokens', retryAfterMs: undefined });
      expect((await take(limiter, limits(0, null))).requests).toEqual({ limit: 0, remaining: 0, resetMs: 0 });
    });

    it('lets more pass as time goes by, when it said', async () => {
      const fast = limits(null, 60_000);
      await take(limiter, fast, 60_000);
      const { refusal } = await take(limiter, fast, 200);
      expect(refusal?.retryAfterMs).toBeLessThanOrEqual(200);
      await new Promise((resolve) => setTimeout(resolve, (refusal?.retryAfterMs ?? 0) + 2));
      expect((await take(limiter, fast, 200)).refusal).toBeUndefined();
    });

    it('gives back what was not used, and never more than was taken', async () => {
      const ten = limits(null, 10);
      const first = await take(limiter, ten, 8);
      expect((await take(limiter, ten, 8)).refusal).toBeDefined();
      await first.giveBack({ requests: 0, tokens: 6 });
      const second = await take(limiter, ten, 8);
      expect(second.refusal).toBeUndefined();
      await second.giveBack({ requests: 0, tokens: 1000 });
      expect((await take(limiter, ten, 10)).refusal).toBeUndefined();
      expect((await take(limiter, ten, 1)).refusal).toBeDefined();
    });

    it('keeps tenants apart', async () => {
      await take(limiter, limits(1, null));
      expect((await take(limiter, limits(1, null), 1, 'A')).refusal).toBeUndefined();
      expect((await take(limiter, limits(1, null))).refusal).toBeDefined();
    });

    it('takes a lowered limit as used up, not as exceeded', async () => {
      await take(limiter, limits(null, 600_000), 600_000);
      const { refusal } = await take(limiter, limits(null, 60_000), 100);
      expect(refusal?.retryAfterMs).toBeLessThanOrEqual(100);
    });

    it('never lets more pass when many come at once', async () => {
      const cost: Cost = { requests: 1, tokens: 1 };
      const all = await Promise.all(Array.from({ length: 40 }, () => limiter.take('a', limits(7, 100), cost)));
      expect(all.filter(({ refusal }) => !refusal)).toHaveLength(7);
    });
  });
}
