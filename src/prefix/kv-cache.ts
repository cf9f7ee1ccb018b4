import { LRUCache } from 'lru-cache';

import type { PrefixKv } from './kv.js';

/** Decoded keys and values in memory, the least recently used given up first. Content-addressed: an entry never expires. */
export class KvCache {
  readonly #entries: LRUCache<string, PrefixKv>;
  readonly #loading = new Map<string, Promise<PrefixKv>>();

  /** `maxBytes` bounds the rows held; 0 holds none. What a caller still uses stays alive beyond it. */
  constructor(maxBytes: number) {
    this.#entries = new LRUCache({ maxSize: Math.max(1, maxBytes), sizeCalculation: ({ rows }) => rows.byteLength });
  }

  /** Bytes of the rows held. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(key: string): PrefixKv | undefined {
    return this.#entries.get(key);
  }

  /** The entry, or what `load` resolves to: one load at a time for a key, however many ask. A failure is not kept. */
  async getOrLoad(key: string, load: () => Promise<PrefixKv>): Promise<PrefixKv> {
    const held = this.#entries.get(key);
    if (held !== undefined) return held;
    const loading = this.#loading.get(key) ?? this.#load(key, load);
    return loading;
  }

  #load(key: string, load: () => Promise<PrefixKv>): Promise<PrefixKv> {
    const loading = load()
      .then((kv) => {
        this.#entries.set(key, kv);
        return kv;
      })
      .finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading;
  }
}
