import type { Admission, Allowance, Cost, RateLimits, Refusal } from './rate-limiter.js';

/** Time in which a limit that was used up is available again. */
export const MINUTE_MS = 60_000;
/** Tolerance, because usages are fractions and their sums inexact. */
const EPSILON = 1e-6;

const NOTHING: Cost = { requests: 0, tokens: 0 };

/**
 * The usage that is left after some time. Usage falls evenly, by the whole limit in a minute. A limit that was lowered
 * counts as used up, not as exceeded.
 */
export function usageAfter(used: Cost, limits: RateLimits, elapsed: number): Cost {
  const after = (amount: number, limit: number | null): number =>
    limit === null ? 0 : Math.max(0, Math.min(amount, limit) - (elapsed * limit) / MINUTE_MS);
  return {
    requests: after(used.requests, limits.requestsPerMinute),
    tokens: after(used.tokens, limits.tokensPerMinute),
  };
}

/** Whether a usage leaves room for `cost` under both limits. */
export function hasRoom(used: Cost, limits: RateLimits, cost: Cost): boolean {
  const fits = (amount: number, limit: number | null): boolean => limit === null || amount <= limit + EPSILON;
  return (
    fits(used.requests + cost.requests, limits.requestsPerMinute) &&
    fits(used.tokens + cost.tokens, limits.tokensPerMinute)
  );
}

/** The answer to a request that was admitted. @param used with the request */
export function admitted(used: Cost, limits: RateLimits, giveBack: Admission['giveBack']): Admission {
  return { ...allowances(used, limits), giveBack };
}

/** The answer to a request that was refused. @param used without the request */
export function refused(used: Cost, limits: RateLimits, cost: Cost): Admission {
  const requests = refusalBy('requests', used, limits.requestsPerMinute, cost);
  const tokens = refusalBy('tokens', used, limits.tokensPerMinute, cost);
  const refusal = wait(tokens) > wait(requests) ? tokens : requests;
  return { refusal, ...allowances(used, limits), giveBack: async () => undefined };
}

/** The answer to a request of a tenant without limits. */
export const UNLIMITED: Admission = admitted(
  NOTHING,
  { requestsPerMinute: null, tokensPerMinute: null },
  async () => undefined,
);

export function isLimited({ requestsPerMinute, tokensPerMinute }: RateLimits): boolean {
  return requestsPerMinute !== null || tokensPerMinute !== null;
}

function allowances(used: Cost, limits: RateLimits): Pick<Admission, 'requests' | 'tokens'> {
  return {
    requests: allowance(used.requests, limits.requestsPerMinute),
    tokens: allowance(used.tokens, limits.tokensPerMinute),
  };
}

function allowance(used: number, limit: number | null): Allowance | undefined {
  if (limit === null) return undefined;
  return { limit, remaining: Math.floor(limit - used + EPSILON), resetMs: timeFor(used, limit) };
}

/** The refusal by one limit; undefined if the limit admits the request. */
function refusalBy(by: keyof Cost, used: Cost, limit: number | null, cost: Cost): Refusal | undefined {
  if (limit === null) return undefined;
  const excess = used[by] + cost[by] - limit;
  if (excess <= EPSILON) return undefined;
  return { by, retryAfterMs: cost[by] > limit ? undefined : timeFor(excess, limit) };
}

function wait(refusal: Refusal | undefined): number {
  return refusal ? (refusal.retryAfterMs ?? Infinity) : -1;
}

/** Milliseconds in which `amount` of a limit comes back. */
function timeFor(amount: number, limit: number): number {
  return amount <= EPSILON ? 0 : Math.ceil((amount * MINUTE_MS) / limit);
}
