import type { Admission, Cost, RateLimiter } from '../../tenancy/rate-limiter.js';
import type { Caller } from '../../tenancy/tenancy.js';
import { CompletionError, RateLimitError } from '../errors.js';
import type { CompletionParams } from '../request/params.js';

/** The part of a tenant's rate limits that one completion has taken: a request and, once its prompts are encoded, all tokens that it may use. */
export class Reservation {
  #isOpen = true;
  #tokens = 0;
  #rows = 1;
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
   * @throws RateLimitError
   */
  static async ofRequest(limiter: RateLimiter, caller: Caller): Promise<Reservation> {
    return new Reservation(limiter, caller, await take(limiter, caller, { requests: 1, tokens: 0 }));
  }

  /** The state of the tenant's limits after the last was taken. */
  get admission(): Admission {
    return this.#admission;
  }

  /**
   * Takes the tokens of the prompts, and all that may be generated.
   * @param prompts each counts once, as in `usage`, however many choices it has
   * @param rows how often a token counts: once for each row that computes it, of which a blend has several
   * @throws RateLimitError
   */
  async takeTokens(
    { bestOf, maxTokens }: CompletionParams,
    prompts: readonly (readonly number[])[],
    rows: number,
  ): Promise<void> {
    this.#rows = rows;
    const tokens = rows * prompts.reduce((sum, { length }) => sum + length + bestOf * maxTokens, 0);
    this.#admission = await take(this.limiter, this.caller, { requests: 0, tokens });
    this.#tokens = tokens;
  }

  /**
   * Gives the tokens back, for a completion that did not start. The request too, unless the caller is at fault: what is refused has cost
   * the machine something.
   */
  refuse(error: unknown): void {
    this.#giveBack(isCallersFault(error) ? 0 : 1, this.#tokens);
  }

  /** Gives back what was not used; once. @param usedTokens each counted once */
  settle(usedTokens: number): void {
    this.#giveBack(0, this.#tokens - this.#rows * usedTokens);
  }

  #giveBack(requests: number, tokens: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (requests > 0 || tokens > 0) void this.#admission.giveBack({ requests, tokens });
  }
}

/** Whoever is refused by a limit is not kept waiting longer for it. */
function isCallersFault(error: unknown): boolean {
  if (error instanceof RateLimitError) return false;
  return error instanceof CompletionError || (error instanceof Error && error.name === 'AbortError');
}

async function take(limiter: RateLimiter, { tenant, limits }: Caller, cost: Cost): Promise<Admission> {
  const admission = await limiter.take(tenant, limits, cost);
  if (admission.refusal) throw new RateLimitError(admission, admission.refusal, cost.tokens);
  return admission;
}
