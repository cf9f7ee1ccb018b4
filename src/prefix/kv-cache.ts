import { LRUCache } from 'lru-cache';

import { ConcurrencyLimit } from '../lib/concurrency-limit.js';
import { kvBytes, type PrefixKv } from './kv.js';

/** Observer of the cache, in counts and seconds; it must not throw. */
export interface KvCacheObserver {
  /** A prefix was asked for; `held` tells whether it was in memory. Otherwise it is loaded, or a load is under way. */
  prefixLookedUp(held: boolean): void;
  /** A prefix was loaded from the store. `seconds` include waiting for other loads. */
  prefixLoaded(seconds: number): void;
}

/** Decoded keys and values in memory, the least recently used given up first. Content-addressed: an entry never expires. */
export class KvCache {
  readonly #entries: LRUCache<string, PrefixKv>;
  readonly #loading = new Map<string, Promise<PrefixKv>>();

  readonly #limit: ConcurrencyLimit;
  readonly #observer: KvCacheObserver | undefined;

  /**
   * @param maxBytes bounds the rows held; 0 holds none. Rows that a caller still uses stay alive beyond it
   * @param maxLoads loads under way together
   */
  constructor(maxBytes: number, maxLoads: number, observer?: KvCacheObserver) {
    this.#observer = observer;
    this.#limit = new ConcurrencyLimit(maxLoads);
    this.#entries = new LRUCache({ maxSize: Math.max(1, maxBytes), sizeCalculation: kvBytes });
  }

  /** Bytes of the rows held. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(key: string): PrefixKv | undefined {
    return this.#entries.get(key);
  }

  /** Whether it is held, not counting as a use of it. */
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The entry, or what `load` resolves to: one load at a time for a key, however many ask. A failure is not kept. */
  async getOrLoad(key: string, load: () => Promise<PrefixKv>): Promise<PrefixKv> {
    const held = this.#entries.get(key);
    this.#observer?.prefixLookedUp(held !== undefined);
    return held ?? this.#loading.get(key) ?? this.#load(key, load);
  }

  #load(key: string, load: () => Promise<PrefixKv>): Promise<PrefixKv> {
    const start = performance.now();
    const loading = this.#limit
      .run(load)
      .then((kv) => {
        this.#entries.set(key, kv);
        this.#observer?.prefixLoaded((performance.now() - start) / 1000);
        return kv;
      })
      .finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading;
  }
}
