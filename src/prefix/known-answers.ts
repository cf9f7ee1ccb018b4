import { setTimeout as delay } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { PrefixError } from './errors.js';

/** How long an answer of the store is good without asking again. Milliseconds. */
const FRESH_FOR = 400;
/** How long the store may take to be asked again before what was known is good enough. Milliseconds. */
const PATIENCE = 300;

interface Known<T> {
  readonly value: T;
  /** When the store was asked. */
  readonly since: number;
}

export interface KnownAnswersOptions<T> {
  /** Of all that is remembered, as `sizeOf` counts. */
  readonly maxSize: number;
  /** At least 1. */
  readonly sizeOf: (value: T) => number;
  /** Milliseconds from any start, never backwards. */
  readonly now: () => number;
}

/**
 * What a store answered to one kind of question. An answer is good for 0.4 s; then the store is asked again, and while it is
 * unavailable or slow its last answer stands. That there is nothing is never remembered.
 */
export class KnownAnswers<T extends object | string> {
  readonly #known: LRUCache<string, Known<T>>;
  /** Questions that are being asked. One that is forgotten meanwhile is no longer in it: its answer may be old. */
  readonly #asking = new Map<string, Promise<T | undefined>>();
  readonly #now: () => number;
  #staleBefore = -Infinity;

  constructor({ maxSize, sizeOf, now }: KnownAnswersOptions<T>) {
    this.#known = new LRUCache({ maxSize, sizeCalculation: ({ value }) => sizeOf(value) });
    this.#now = now;
  }

  /** Throws what `ask` throws, `store_unavailable` only where nothing is known. */
  async get(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = this.#known.get(key);
    if (known && this.#isFresh(known)) return known.value;
    const asking = this.#asking.get(key) ?? this.#ask(key, ask);
    if (!known) return asking;
    const answer = await withinPatience(asking);
    // Not `known`: it may have been forgotten meanwhile.
    return answer === NONE ? (this.#known.get(key)?.value ?? asking) : answer;
  }

  /**
   * The answer has changed, perhaps before it was asked for last.
   * @param isStill whether what is known is what it is now: then it still stands while the store is away
   */
  forget(key: string, isStill: (value: T) => boolean = () => false): void {
    const value = this.#known.get(key)?.value;
    this.#asking.delete(key);
    if (value !== undefined && isStill(value)) this.#known.set(key, { value, since: -Infinity });
    else this.#known.delete(key);
  }

  /** Anything may have changed: everything is asked for again. */
  forgetAll(): void {
    this.#staleBefore = this.#now();
    this.#asking.clear();
  }

  #isFresh({ since }: Known<T>): boolean {
    return since > this.#staleBefore && this.#now() - since < FRESH_FOR;
  }

  #ask(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const since = this.#now();
    const asking = ask()
      .then((value) => {
        if (this.#asking.get(key) !== asking) return value;
        if (value === undefined) this.#known.delete(key);
        else this.#known.set(key, { value, since });
        return value;
      })
      .finally(() => {
        if (this.#asking.get(key) === asking) this.#asking.delete(key);
      });
    this.#asking.set(key, asking);
    return asking;
  }
}

const NONE = Symbol('none');

/** The store's answer; `NONE` when it is away or too slow. */
async function withinPatience<T>(asking: Promise<T>): Promise<T | typeof NONE> {
  const answered = new AbortController();
  const late = delay<typeof NONE>(PATIENCE, NONE, { signal: answered.signal }).catch((): typeof NONE => NONE);
  try {
    return await Promise.race([asking, late]);
  } catch (error) {
    if (error instanceof PrefixError && error.reason === 'unavailable') return NONE;
    throw error;
  } finally {
    answered.abort();
  }
}
