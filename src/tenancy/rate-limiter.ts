import type { TenantLimits } from './limits.js';

/** Requests and tokens that a request takes, or gives back. */
export interface Cost {
  readonly requests: number;
  readonly tokens: number;
}

export type RateLimits = Pick<TenantLimits, 'requestsPerMinute' | 'tokensPerMinute'>;

/** How much of a limit is left. */
export interface Allowance {
  /** A minute. */
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until all of it is there again, if nothing is taken. */
  readonly reset: number;
}

export interface Refusal {
  /** The limit that lasts longest. */
  readonly by: keyof Cost;
  /** Milliseconds until the same request passes, if nothing else is taken; undefined: it is larger than the limit and never does. */
  readonly retryAfter: number | undefined;
}

/** The answer of a rate limiter. A refused request has taken nothing. */
export interface Admission {
  readonly refusal?: Refusal | undefined;
  /** After what was taken; undefined: no limit. */
  readonly requests?: Allowance | undefined;
  readonly tokens?: Allowance | undefined;
  /** Returns what was taken and not used. Never throws: what is lost comes back within a minute by itself. */
  giveBack(unused: Cost): Promise<void>;
}

/** Requests and tokens a minute, for every tenant of its own. */
export interface RateLimiter {
  /** Takes all of `cost`, or nothing. */
  take(tenant: string, limits: RateLimits, cost: Cost): Promise<Admission>;
}
