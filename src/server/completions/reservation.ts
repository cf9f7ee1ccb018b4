import type { Admission, Cost, RateLimiter } from '../../tenancy/rate-limiter.js';
import type { Caller } from '../../tenancy/tenancy.js';
import type { CompletionParams } from './params.js';
import { rateLimitHeaders, toRateLimitError } from '../http/rate-limit-headers.js';

/** What a completion has taken from its tenant's limits: one request and, once its prompts are read, all tokens that it may use. */
export class Reservation {
  #isOpen = true;
  #tokens = 0;
  #admission: Admission;

  private constructor(
    private readonly limiter: RateLimiter,
    private readonly caller: Caller,
    admission: Admission,
  ) {
    this.#admission = admission;
  }

  /**
   * Takes one request.
   * @throws ApiError `rate_limit_exceeded`
   */
  static async ofRequest(limiter: RateLimiter, caller: Caller): Promise<Reservation> {
    return new Reservation(limiter, caller, await take(limiter, caller, { requests: 1, tokens: 0 }));
  }

  /** `x-ratelimit-...`, where the tenant has limits. */
  get headers(): Readonly<Record<string, string>> {
    return rateLimitHeaders(this.#admission);
  }

  /** Starts what was reserved for. If that throws, nothing was taken. */
  async during<T>(start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      this.#giveBack(1, this.#tokens);
      throw error;
    }
  }

  /**
   * Takes the tokens of the prompts, and all that may be generated.
   * @param prompts each counts once, as in `usage`, however many choices it has
   * @throws ApiError `rate_limit_exceeded`
   */
  async takeTokens({ bestOf, maxTokens }: CompletionParams, prompts: readonly number[][]): Promise<void> {
    const tokens = prompts.reduce((sum, { length }) => sum + length + bestOf * maxTokens, 0);
    this.#admission = await take(this.limiter, this.caller, { requests: 0, tokens });
    this.#tokens = tokens;
  }

  /** Gives back what was not used; once. */
  settle(usedTokens: number): void {
    this.#giveBack(0, this.#tokens - usedTokens);
  }

  #giveBack(requests: number, tokens: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (requests > 0 || tokens > 0) void this.#admission.giveBack({ requests, tokens });
  }
}

async function take(limiter: RateLimiter, { tenant, limits }: Caller, cost: Cost): Promise<Admission> {
  const admission = await limiter.take(tenant, limits, cost);
  if (admission.refusal) throw toRateLimitError(admission, admission.refusal, cost.tokens);
  return admission;
}
