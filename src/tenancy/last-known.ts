import { LRUCache } from 'lru-cache';

import { TenancyError } from './errors.js';

interface Entry<T> {
  readonly value: T;
  /** Milliseconds of the clock. */
  readonly freshUntil: number;
  /** Of the question that it answers. */
  readonly epoch: number;
}

interface Question<T> {
  readonly epoch: number;
  readonly answer: Promise<T | undefined>;
}

export interface LastKnownOptions<T> {
  /** Asks the store. Undefined: there is none. */
  readonly load: (key: string) => Promise<T | undefined>;
  /** How long a value is believed without asking again, in milliseconds. */
  readonly freshFor: number;
  readonly maxEntries: number;
  /** Milliseconds; monotonic. */
  readonly now: () => number;
}

/**
 * What the store said last about each of its records. A value is believed for a short time; then the store is asked again, and while it
 * cannot be reached its last word stands. What was not found is never remembered.
 */
export class LastKnown<T extends object> {
  readonly #entries: LRUCache<string, Entry<T>>;
  /** The latest question about each key that is not answered yet. */
  readonly #questions = new Map<string, Question<T>>();
  /** Counts the times that everything became stale. */
  #epoch = 0;

  constructor(private readonly options: LastKnownOptions<T>) {
    this.#entries = new LRUCache({ max: options.maxEntries });
  }

  /** @throws TenancyError `store_unavailable` when the store cannot be asked and has never told of this */
  async get(key: string): Promise<T | undefined> {
    const entry = this.#entries.get(key);
    if (entry?.epoch === this.#epoch && this.options.now() < entry.freshUntil) return entry.value;
    const question = this.#questions.get(key);
    // What was asked before a change may be answered as it was before.
    const answer = question?.epoch === this.#epoch ? question.answer : this.#ask(key);
    try {
      return await answer;
    } catch (error) {
      return this.#lastWord(key, error);
    }
  }

  /** The store is asked again before any value is believed. */
  expire(): void {
    this.#epoch++;
  }

  /** Its last word does not stand any more, whether the store can be asked or not. */
  forget(key: string): void {
    this.#entries.delete(key);
    this.#questions.delete(key);
  }

  #ask(key: string): Promise<T | undefined> {
    // Counted from the question, not from the answer: a change in between is noticed in time.
    const freshUntil = this.options.now() + this.options.freshFor;
    const epoch = this.#epoch;
    const question: Question<T> = {
      epoch,
      answer: this.options.load(key).then(
        (value) => {
          if (this.#close(key, question)) this.#remember(key, value && { value, freshUntil, epoch });
          return value;
        },
        (error: unknown) => {
          this.#close(key, question);
          throw error;
        },
      ),
    };
    this.#questions.set(key, question);
    return question.answer;
  }

  /** False when its answer does not count any more: it was asked again, or forgotten. */
  #close(key: string, question: Question<T>): boolean {
    return this.#questions.get(key) === question && this.#questions.delete(key);
  }

  #remember(key: string, entry: Entry<T> | undefined): void {
    if (entry) this.#entries.set(key, entry);
    else this.#entries.delete(key);
  }

  #lastWord(key: string, error: unknown): T {
    const entry = this.#entries.get(key);
    if (entry && error instanceof TenancyError && error.code === 'store_unavailable') return entry.value;
    throw error;
  }
}
