import { setTimeout as delay } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { StoreError } from './store-error.js';

/** How long a value is served without asking the store again. A change whose message was lost is noticed after this time. */
const FRESH_MS = 400;

interface Entry<T> {
  readonly value: T;
  /** By the clock of the cache. */
  readonly freshUntilMs: number;
  /** Number of calls of `expire` before the store was asked for the value. */
  readonly epoch: number;
}

interface Load<T> {
  readonly epoch: number;
  readonly answer: Promise<T | undefined>;
}

export interface StaleCacheOptions<T> {
  /** Most size of all values together, as `sizeOf` counts. */
  readonly maxSize: number;
  /** Size of a value, at least 1; unless given, 1. */
  readonly sizeOf?: (value: T) => number;
  /** How long a request waits for a slow store before it gets the stale value; unless given, until the store answers. */
  readonly patienceMs?: number;
  /** Milliseconds from any start, never backwards. */
  readonly now: () => number;
}

/**
 * A stale-if-error cache over a store. A value is fresh for 0.4 s; then the store is asked again, and while it throws `StoreError` or is
 * slow, the stale value is served. That a key has no value is not cached.
 */
export class StaleCache<T extends object | string> {
  readonly #entries: LRUCache<string, Entry<T>>;
  /** The latest running load of each key. Any other load may bring a value from before a change. */
  readonly #loads = new Map<string, Load<T>>();
  readonly #patienceMs: number | undefined;
  readonly #now: () => number;
  /** Counts the calls of `expire`. */
  #epoch = 0;

  constructor({ maxSize, sizeOf = () => 1, patienceMs, now }: StaleCacheOptions<T>) {
    this.#entries = new LRUCache({ maxSize, sizeCalculation: ({ value }) => sizeOf(value) });
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  /**
   * The value of a key; undefined if the store has none.
   * @param load asks the store; its errors are thrown, but a `StoreError` only if no value is cached
   */
  async get(key: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const entry = this.#entries.get(key);
    if (entry?.epoch === this.#epoch && this.#now() < entry.freshUntilMs) return entry.value;
    const underWay = this.#loads.get(key);
    const answer = underWay?.epoch === this.#epoch ? underWay.answer : this.#load(key, load);
    const loaded = await withinPatience(answer, entry && this.#patienceMs);
    // Looked up again: the entry from before may have been forgotten meanwhile.
    return loaded === NONE ? (this.#entries.get(key)?.value ?? answer) : loaded;
  }

  /** Makes every value stale: the store is asked again before a value is served. */
  expire(): void {
    this.#epoch++;
  }

  /**
   * Drops a value that has changed, so that it is not served even while the store is away.
   * @param isStill whether a cached value is already the changed one; then it is made stale instead
   */
  forget(key: string, isStill: (value: T) => boolean = () => false): void {
    const entry = this.#entries.get(key);
    this.#loads.delete(key);
    if (entry && isStill(entry.value)) this.#entries.set(key, { ...entry, freshUntilMs: -Infinity });
    else this.#entries.delete(key);
  }

  #load(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    // Fresh from the question on, not from the answer, so that a change in between is noticed in time.
    const freshUntilMs = this.#now() + FRESH_MS;
    const epoch = this.#epoch;
    const load: Load<T> = {
      epoch,
      answer: ask().then(
        (value) => {
          if (!this.#end(key, load)) return value;
          if (value === undefined) this.#entries.delete(key);
          else this.#entries.set(key, { value, freshUntilMs, epoch });
          return value;
        },
        (error: unknown) => {
          this.#end(key, load);
          throw error;
        },
      ),
    };
    this.#loads.set(key, load);
    return load.answer;
  }

  /** Ends a load. False for an outdated one: the store was asked again, or the key was forgotten. */
  #end(key: string, load: Load<T>): boolean {
    return this.#loads.get(key) === load && this.#loads.delete(key);
  }
}

const NONE = Symbol('none');

/** The store's answer; `NONE` if the store throws a `StoreError` or does not answer in time. */
async function withinPatience<T>(answer: Promise<T>, patienceMs: number | undefined): Promise<T | typeof NONE> {
  const answered = new AbortController();
  const late = (): Promise<typeof NONE> =>
    delay<typeof NONE>(patienceMs, NONE, { signal: answered.signal }).catch((): typeof NONE => NONE);
  try {
    return await (patienceMs === undefined ? answer : Promise.race([answer, late()]));
  } catch (error) {
    if (error instanceof StoreError) return NONE;
    throw error;
  } finally {
    answered.abort();
  }
}
