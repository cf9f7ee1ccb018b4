import type { Admission, Cost, RateLimiter, RateLimits } from './rate-limiter.js';
import { admitted, hasRoom, isLimited, refused, UNLIMITED, usageAfter } from './usage.js';

interface Meter {
  readonly used: Cost;
  /** Milliseconds by the limiter's clock. */
  readonly at: number;
}

/** A rate limiter for one process. */
export class MemoryRateLimiter implements RateLimiter {
  /** One small meter for each tenant that was seen; never removed. */
  readonly #meters = new Map<string, Meter>();

  /** @param now milliseconds; monotonic */
  constructor(private readonly now: () => number = () => performance.now()) {}

  async take(tenant: string, limits: RateLimits, cost: Cost): Promise<Admission> {
    if (!isLimited(limits)) return UNLIMITED;
    const used = this.#usage(tenant, limits);
    if (!hasRoom(used, limits, cost)) return refused(used, limits, cost);
    const after = this.#set(tenant, used.requests + cost.requests, used.tokens + cost.tokens);
    return admitted(after, limits, async (unused) => this.#giveBack(tenant, limits, unused));
  }

  #giveBack(tenant: string, limits: RateLimits, unused: Cost): void {
    const used = this.#usage(tenant, limits);
    this.#set(tenant, Math.max(0, used.requests - unused.requests), Math.max(0, used.tokens - unused.tokens));
  }

  #usage(tenant: string, limits: RateLimits): Cost {
    const { used, at } = this.#meters.get(tenant) ?? { used: { requests: 0, tokens: 0 }, at: 0 };
    return usageAfter(used, limits, this.now() - at);
  }

  #set(tenant: string, requests: number, tokens: number): Cost {
    const used = { requests, tokens };
    this.#meters.set(tenant, { used, at: this.now() });
    return used;
  }
}
