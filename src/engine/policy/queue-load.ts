import type { TenantShare } from './fair-share.js';

/** Bounds of the sequences of a class that wait for a slot. */
export interface QueueLimits {
  /** Sequences that may wait beyond the free slots. */
  readonly maxWaitingRequests: number;
  /** Tokens that may wait: each sequence's prompt and `maxTokens`. */
  readonly maxWaitingTokens: number;
}

/** What of a waiting sequence counts. */
interface Queued {
  readonly tenant: string;
  readonly share: TenantShare;
  /** Most tokens that it can come to. */
  readonly tokenBudget: number;
}

/** Size of a tenant's part of the queue. */
interface Waiting {
  readonly requests: number;
  readonly tokens: number;
}

const nothing: Waiting = { requests: 0, tokens: 0 };

/** How much waits, in all and of each tenant, and whether there is room for more. */
export class QueueLoad {
  readonly #waiting = new Map<string, Waiting>();
  #requests = 0;
  #tokens = 0;

  constructor(private readonly limits: QueueLimits) {}

  get requests(): number {
    return this.#requests;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Tenants of whom something waits. */
  get tenants(): ReadonlySet<string> {
    return new Set(this.#waiting.keys());
  }

  /**
   * Says whether the tenant's part or the whole queue is too full for one more; undefined where there is room. Sequences that only
   * wait for the next step to take a free slot do not count.
   */
  whatIsFull({ tenant, share, tokenBudget }: Queued, freeSlots: number): 'tenant' | 'queue' | undefined {
    if (this.#requests < freeSlots) return undefined;
    const own = this.#waiting.get(tenant) ?? nothing;
    if (share.queueShare < 1 && this.#exceeds(own, tokenBudget, share.queueShare)) return 'tenant';
    const all = { requests: this.#requests - freeSlots, tokens: this.#tokens };
    return this.#exceeds(all, tokenBudget, 1) ? 'queue' : undefined;
  }

  /** Counts a sequence that begins to wait, 1, or no longer does, -1. */
  count({ tenant, tokenBudget }: Queued, change: 1 | -1): void {
    const { requests, tokens } = this.#waiting.get(tenant) ?? nothing;
    this.#requests += change;
    this.#tokens += change * tokenBudget;
    if (requests + change === 0) this.#waiting.delete(tenant);
    else this.#waiting.set(tenant, { requests: requests + change, tokens: tokens + change * tokenBudget });
  }

  /** @throws Error unless the tenants' parts make the whole */
  checkIntegrity(): void {
    const requests = [...this.#waiting.values()].reduce((total, waiting) => total + waiting.requests, 0);
    if (requests !== this.#requests) throw new Error(`${this.#requests} sequences wait, but tenants have ${requests}`);
  }

  #exceeds({ requests, tokens }: Waiting, tokenBudget: number, share: number): boolean {
    const { maxWaitingRequests, maxWaitingTokens } = this.limits;
    // However small its part, a tenant may have one sequence wait.
    const mayWait = Math.max(1, Math.floor(share * maxWaitingRequests));
    return requests >= mayWait || tokens + tokenBudget > Math.max(tokenBudget, share * maxWaitingTokens);
  }
}
