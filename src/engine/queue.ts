import type { Sequence } from './sequence.js';

/** How much may wait for a slot. */
export interface QueueLimits {
  /** Sequences that may wait beyond the free slots. */
  readonly maxWaitingRequests: number;
  /** Tokens, prompt and `maxTokens` of each, that may wait. */
  readonly maxWaitingTokens: number;
}

/** The waiting sequences in order of arrival, bounded in requests and in tokens. */
export class WaitingQueue {
  readonly #sequences = new Set<Sequence>();
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

  /** Whether there is room for one more. Sequences that only wait for the next step to take a free slot do not count. */
  canAdd(sequence: Sequence, freeSlots: number): boolean {
    const { maxWaitingRequests, maxWaitingTokens } = this.limits;
    if (this.length < freeSlots) return true;
    return this.length - freeSlots < maxWaitingRequests && this.#tokens + sequence.maxTokens <= maxWaitingTokens;
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
    this.#tokens += sequence.maxTokens;
  }

  /** Takes a sequence out, wherever it stands; nothing happens when it is not there. */
  remove(sequence: Sequence): void {
    if (this.#sequences.delete(sequence)) this.#tokens -= sequence.maxTokens;
  }

  /** @throws Error unless the count of tokens is right and every sequence waits. */
  checkIntegrity(): void {
    const tokens = this.sequences.reduce((total, { maxTokens }) => total + maxTokens, 0);
    if (tokens !== this.#tokens) throw new Error(`${tokens} tokens wait, but ${this.#tokens} are counted`);
    if (this.sequences.some(({ status }) => status !== 'waiting'))
      throw new Error('a sequence in the queue does not wait');
  }
}
