import type { Sequence } from '../sequence.js';

/** Bounds of the sequences of a class that wait for a slot. */
export interface QueueLimits {
  /** Sequences that may wait beyond the free slots. */
  readonly maxWaitingRequests: number;
  /** Tokens that may wait: each sequence's prompt and `maxTokens`. */
  readonly maxWaitingTokens: number;
}

/** Size of a tenant's part of the queue. */
interface Waiting {
  readonly requests: number;
  readonly tokens: number;
}

const nothing: Waiting = { requests: 0, tokens: 0 };

/** The waiting sequences in order of arrival, bounded in requests and in tokens. */
export class WaitingQueue {
  readonly #sequences = new Set<Sequence>();
  readonly #waiting = new Map<string, Waiting>();
  #tokens = 0;

  constructor(private readonly limits: QueueLimits) {}

  get sequences(): readonly Sequence[] {
    return [...this.#sequences];
  }

  get length(): number {
    return this.#sequences.size;
  }

  /** Prompt tokens and `maxTokens` of all that wait. */
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
  whatIsFull(sequence: Sequence, freeSlots: number): 'tenant' | 'queue' | undefined {
    if (this.length < freeSlots) return undefined;
    const { tenant, share } = sequence;
    const own = this.#waiting.get(tenant) ?? nothing;
    if (share.queueShare < 1 && this.#exceeds(own, sequence, share.queueShare)) return 'tenant';
    const all = { requests: this.length - freeSlots, tokens: this.#tokens };
    return this.#exceeds(all, sequence, 1) ? 'queue' : undefined;
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
    this.#count(sequence, 1);
  }

  /** Puts a sequence that ran before in front of all others. */
  putBack(sequence: Sequence): void {
    const others = this.sequences;
    this.#sequences.clear();
    for (const one of [sequence, ...others]) this.#sequences.add(one);
    this.#count(sequence, 1);
  }

  /** Takes a sequence out, wherever it stands. False when it is not there. */
  remove(sequence: Sequence): boolean {
    const wasThere = this.#sequences.delete(sequence);
    if (wasThere) this.#count(sequence, -1);
    return wasThere;
  }

  /** @throws Error unless the count of tokens is right and every sequence waits. */
  checkIntegrity(): void {
    const tokens = this.sequences.reduce((total, { tokenBudget }) => total + tokenBudget, 0);
    if (tokens !== this.#tokens) throw new Error(`${tokens} tokens wait, but ${this.#tokens} are counted`);
    if (this.sequences.some(({ status }) => status !== 'waiting'))
      throw new Error('a sequence in the queue does not wait');
    const requests = [...this.#waiting.values()].reduce((total, waiting) => total + waiting.requests, 0);
    if (requests !== this.length) throw new Error(`${this.length} sequences wait, but tenants have ${requests}`);
  }

  #exceeds({ requests, tokens }: Waiting, { tokenBudget }: Sequence, share: number): boolean {
    const { maxWaitingRequests, maxWaitingTokens } = this.limits;
    // However small its part, a tenant may have one sequence wait.
    const mayWait = Math.max(1, Math.floor(share * maxWaitingRequests));
    return requests >= mayWait || tokens + tokenBudget > Math.max(tokenBudget, share * maxWaitingTokens);
  }

  #count({ tenant, tokenBudget }: Sequence, change: 1 | -1): void {
    const { requests, tokens } = this.#waiting.get(tenant) ?? nothing;
    this.#tokens += change * tokenBudget;
    if (requests + change === 0) this.#waiting.delete(tenant);
    else this.#waiting.set(tenant, { requests: requests + change, tokens: tokens + change * tokenBudget });
  }
}
