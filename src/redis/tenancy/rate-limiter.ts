import { MemoryRateLimiter } from '../../tenancy/memory-rate-limiter.js';
import type { Admission, Cost, RateLimiter, RateLimits } from '../../tenancy/rate-limiter.js';
import { admitted, isLimited, MINUTE_MS, refused, UNLIMITED } from '../../tenancy/usage.js';
import type { RedisConnection } from '../connection.js';
import { redisFailure } from '../errors.js';
import { Script } from '../script.js';

/**
 * Takes requests and tokens from a tenant's limits, or nothing: the computation of `usage.ts`, for all replicas, by Redis's clock.
 *
 * KEYS: the tenant's meter
 * ARGV: limits of requests and tokens a minute (-1: no limit), requests and tokens to take (below 0: to give back)
 * Returns 1 if they were taken or 0, then the usage of requests and of tokens after that.
 *
 * (The package rate-limiter-flexible counts refused requests too, and checks one limit at a time.)
 */
const take = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local meter = redis.call('HMGET', KEYS[1], 'requests', 'tokens', 'at')
local elapsed = math.max(0, now - (tonumber(meter[3]) or now))
local after, fits = {}, true
for i = 1, 2 do
  local limit, cost = tonumber(ARGV[i]), tonumber(ARGV[i + 2])
  local used = 0
  if limit >= 0 then
    used = math.max(0, math.min(tonumber(meter[i]) or 0, limit) - elapsed * limit / ${MINUTE_MS})
    if cost > 0 and used + cost > limit + 1e-6 then fits = false end
  end
  meter[i] = used
  after[i] = limit >= 0 and math.max(0, used + cost) or 0
end
if fits then
  meter = after
  redis.call('HSET', KEYS[1], 'requests', string.format('%.9f', after[1]), 'tokens', string.format('%.9f', after[2]), 'at', string.format('%.3f', now))
  redis.call('PEXPIRE', KEYS[1], ${MINUTE_MS + 1000})
end
return { fits and 1 or 0, string.format('%.9f', meter[1]), string.format('%.9f', meter[2]) }
`);

/** A rate limiter for all processes on one Redis together. While Redis is away, each process limits by itself. */
export class RedisRateLimiter implements RateLimiter {
  readonly #fallback = new MemoryRateLimiter();

  constructor(private readonly connection: RedisConnection) {}

  async take(tenant: string, limits: RateLimits, cost: Cost): Promise<Admission> {
    if (!isLimited(limits)) return UNLIMITED;
    const answer = await this.#run(tenant, limits, cost).catch(ifAway);
    if (!answer) return this.#fallback.take(tenant, limits, cost);
    if (!answer.fits) return refused(answer.used, limits, cost);
    return admitted(answer.used, limits, async ({ requests, tokens }) => {
      const returned = { requests: -requests, tokens: -tokens };
      await this.#run(tenant, limits, returned).catch(() => undefined);
    });
  }

  async #run(tenant: string, limits: RateLimits, cost: Cost): Promise<{ fits: boolean; used: Cost }> {
    const { requestsPerMinute, tokensPerMinute } = limits;
    const args = [requestsPerMinute ?? -1, tokensPerMinute ?? -1, cost.requests, cost.tokens];
    const answer = await take.run(this.connection.client, [`preamble:rate:${tenant}`], args);
    const [fits, requests, tokens] = answer as [number, string, string];
    return { fits: fits === 1, used: { requests: Number(requests), tokens: Number(tokens) } };
  }
}

/** Ignores failures of Redis; rethrows other errors. */
function ifAway(error: unknown): undefined {
  if (redisFailure(error) === undefined) throw error;
}
