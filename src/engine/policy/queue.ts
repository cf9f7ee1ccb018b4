import type { Sequence } from '../sequence.js';
import { QueueLoad, type QueueLimits } from './queue-load.js';

/** The waiting sequences in order of arrival, bounded in requests and in tokens. */
export class WaitingQueue {
  readonly #sequences = new Set<Sequence>();
  readonly #load: QueueLoad;

  constructor(limits: QueueLimits) {
    this.#load = new QueueLoad(limits);
  }

  get sequences(): readonly Sequence[] {
    return [...this.#sequences];
  }

  get length(): number {
    return this.#sequences.size;
  }

  /** Prompt tokens and `maxTokens` of all that wait. */
  get tokens(): number {
    return this.#load.tokens;
  }

  /** Tenants of whom something waits. */
  get tenants(): ReadonlySet<string> {
    return this.#load.tenants;
  }

  /** As `QueueLoad.whatIsFull`. */
  whatIsFull(sequence: Sequence, freeSlots: number): 'tenant' | 'queue' | undefined {
    return this.#load.whatIsFull(sequence, freeSlots);
  }

  add(sequence: Sequence): void {
    this.#sequences.add(sequence);
    this.#load.count(sequence, 1);
  }

  /** Puts a sequence that ran before in front of all others. */
  putBack(sequence: Sequence): void {
    const others = this.sequences;
    this.#sequences.clear();
    for (const one of [sequence, ...others]) this.#sequences.add(one);
    this.#load.count(sequence, 1);
  }

  /** Takes a sequence out, wherever it stands. False when it is not there. */
  remove(sequence: Sequence): boolean {
    const wasThere = this.#sequences.delete(sequence);
    if (wasThere) this.#load.count(sequence, -1);
    return wasThere;
  }

  /** @throws Error unless the count of tokens is right and every sequence waits. */
  checkIntegrity(): void {
    const tokens = this.sequences.reduce((total, { tokenBudget }) => total + tokenBudget, 0);
    if (tokens !== this.tokens) throw new Error(`${tokens} tokens wait, but ${this.tokens} are counted`);
    if (this.sequences.some(({ status }) => status !== 'waiting'))
      throw new Error('a sequence in the queue does not wait');
    this.#load.checkIntegrity();
    const { requests } = this.#load;
    if (requests !== this.length) throw new Error(`${this.length} sequences wait, but ${requests} are counted`);
  }
}
