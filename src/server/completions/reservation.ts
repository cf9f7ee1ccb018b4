import type { Admission, RateLimiter } from '../../tenancy/rate-limiter.js';
import type { Caller } from '../../tenancy/tenancy.js';
import type { CompletionParams } from './params.js';
import { rateLimitHeaders, toRateLimitError } from '../rate-limit.js';

/** What a completion has taken from its tenant's limits: one request, its prompts, and all that it may generate. */
export class Reservation {
  #isOpen = true;

  constructor(
    private readonly admission: Admission,
    private readonly tokens: number,
  ) {}

  /** `x-ratelimit-...`, where the tenant has limits. */
  get headers(): Readonly<Record<string, string>> {
    return rateLimitHeaders(this.admission);
  }

  /** Starts what was reserved for. If that throws, nothing was taken. */
  during<T>(start: () => T): T {
    try {
      return start();
    } catch (error) {
      this.#giveBack(1, this.tokens);
      throw error;
    }
  }

  /** Gives back what was not used; once. */
  settle(usedTokens: number): void {
    this.#giveBack(0, this.tokens - usedTokens);
  }

  #giveBack(requests: number, tokens: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (requests > 0 || tokens > 0) void this.admission.giveBack({ requests, tokens });
  }
}

/**
 * Takes what a completion may use at most, or nothing.
 * @param prompts each counts once, as in `usage`, however many choices it has
 * @throws ApiError `rate_limit_exceeded`
 */
export async function reserve(
  limiter: RateLimiter,
  { tenant, limits }: Caller,
  { bestOf, maxTokens }: CompletionParams,
  prompts: readonly number[][],
): Promise<Reservation> {
  const tokens = prompts.reduce((sum, { length }) => sum + length + bestOf * maxTokens, 0);
  const admission = await limiter.take(tenant, limits, { requests: 1, tokens });
  if (admission.refusal) throw toRateLimitError(admission, admission.refusal, tokens);
  return new Reservation(admission, tokens);
}
