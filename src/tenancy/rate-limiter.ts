import type { TenantLimits } from './limits.js';

/** Requests and tokens that a request takes, or gives back. */
export interface Cost {
  readonly requests: number;
  readonly tokens: number;
}

export type RateLimits = Pick<TenantLimits, 'requestsPerMinute' | 'tokensPerMinute'>;

/** A limit, and the part of it that is left. */
export interface Allowance {
  /** Requests or tokens a minute. */
  readonly limit: number;
  readonly remaining: number;
  /** Time until the whole limit is available again, if nothing more is taken. */
  readonly resetMs: number;
}

export interface Refusal {
  /** The limit that refuses the request; of both, the one that takes longer to free up. */
  readonly by: keyof Cost;
  /** Time until the same request passes, if nothing else is taken; undefined if it is larger than the limit and never passes. */
  readonly retryAfterMs: number | undefined;
}

/** The answer of a rate limiter. A refused request has taken nothing. */
export interface Admission {
  readonly refusal?: Refusal | undefined;
  /** The limit of requests after this one; undefined: no limit. */
  readonly requests?: Allowance | undefined;
  readonly tokens?: Allowance | undefined;
  /** Returns the unused part of the cost. Never throws: if it fails, the part comes back within a minute by itself. */
  giveBack(unused: Cost): Promise<void>;
}

/** Limits the requests and tokens a minute of each tenant. */
export interface RateLimiter {
  /** Takes the whole cost, or nothing. */
  take(tenant: string, limits: RateLimits, cost: Cost): Promise<Admission>;
}
