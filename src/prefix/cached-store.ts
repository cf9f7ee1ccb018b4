import { setTimeout as delay } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { PrefixError } from './errors.js';
import { tenantKey } from './name.js';
import type { PrefixQuota } from './quota.js';
import {
  findVersion,
  type ListOptions,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixPage,
  type PrefixStore,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
} from './store.js';

/** How long an answer of the store is good without asking again. Milliseconds. */
const FRESH_FOR = 400;
/** How long the store may take to be asked again before what was known is good enough. Milliseconds. */
const PATIENCE = 300;
/** Versions that are remembered, over all names. */
const MAX_VERSIONS = 100_000;

interface Known {
  readonly details: PrefixDetails;
  /** When the store was asked. */
  readonly since: number;
}

export interface CachedStoreOptions {
  /** Milliseconds from any start, never backwards. */
  readonly now?: () => number;
}

/**
 * Remembers what names stand for, over a store that other processes change too. A change elsewhere is seen at once where the store
 * tells of it (`forget`), and within 0.4 s where its message was missed. While the store is unavailable, names go on standing for
 * what was last known; a name that was not asked for before, or is known to have changed, throws `store_unavailable`.
 */
export class CachedPrefixStore implements PrefixStore {
  readonly #known = new LRUCache<string, Known>({
    maxSize: MAX_VERSIONS,
    sizeCalculation: ({ details }) => 1 + details.versions.length,
  });
  /** Names that are being asked for. One that is forgotten meanwhile is no longer in it: its answer may be old. */
  readonly #asking = new Map<string, Promise<PrefixDetails | undefined>>();
  readonly #now: () => number;
  #staleBefore = -Infinity;

  constructor(
    private readonly store: PrefixStore,
    { now = () => performance.now() }: CachedStoreOptions = {},
  ) {
    this.#now = now;
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    const details = await this.#details(tenant, name);
    if (details === undefined || version === undefined) return details;
    const info = findVersion(details.versions, version);
    return info && { ...info, versions: details.versions };
  }

  async put(tenant: string, upload: PrefixUpload, quota?: PrefixQuota): Promise<PutResult> {
    return this.#changing(tenant, upload.info.name, () => this.store.put(tenant, upload, quota));
  }

  async promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined> {
    return this.#changing(tenant, name, () => this.store.promote(tenant, name, version));
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    return this.#changing(tenant, name, () => this.store.delete(tenant, name));
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return this.store.read(tenant, name, version, file);
  }

  async list(tenant: string, options?: ListOptions): Promise<PrefixPage> {
    return this.store.list(tenant, options);
  }

  /**
   * A name has changed, perhaps before it was asked for last.
   * @param tenant its key
   * @param version what the name stands for now; undefined when it is gone, or nobody knows
   */
  forget(tenant: string, name: string, version?: string): void {
    const key = keyOf(tenant, name);
    const details = this.#known.get(key)?.details;
    this.#asking.delete(key);
    if (details && details.version === version) this.#known.set(key, { details, since: -Infinity });
    else this.#known.delete(key);
  }

  /** Anything may have changed: every name is asked for again. */
  forgetAll(): void {
    this.#staleBefore = this.#now();
    this.#asking.clear();
  }

  /** Also a change that failed may have happened. */
  async #changing<T>(tenant: string, name: string, change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } finally {
      this.forget(tenantKey(tenant), name);
    }
  }

  async #details(tenant: string, name: string): Promise<PrefixDetails | undefined> {
    const key = keyOf(tenantKey(tenant), name);
    const known = this.#known.get(key);
    if (known && this.#isFresh(known)) return known.details;
    const asking = this.#asking.get(key) ?? this.#ask(tenant, name, key);
    if (!known) return asking;
    const answer = await withinPatience(asking);
    // Not `known`: it may have been forgotten meanwhile.
    return answer === 'none' ? (this.#known.get(key)?.details ?? asking) : answer;
  }

  #isFresh({ since }: Known): boolean {
    return since > this.#staleBefore && this.#now() - since < FRESH_FOR;
  }

  #ask(tenant: string, name: string, key: string): Promise<PrefixDetails | undefined> {
    const since = this.#now();
    const asking = this.store
      .get(tenant, name)
      .then((details) => {
        if (this.#asking.get(key) !== asking) return details;
        if (details === undefined) this.#known.delete(key);
        else this.#known.set(key, { details, since });
        return details;
      })
      .finally(() => {
        if (this.#asking.get(key) === asking) this.#asking.delete(key);
      });
    this.#asking.set(key, asking);
    return asking;
  }
}

/** The store's answer; 'none' when it is away or too slow. */
async function withinPatience<T>(asking: Promise<T>): Promise<T | 'none'> {
  const answered = new AbortController();
  const late = delay(PATIENCE, 'none' as const, { signal: answered.signal }).catch(() => 'none' as const);
  try {
    return await Promise.race([asking, late]);
  } catch (error) {
    if (error instanceof PrefixError && error.reason === 'unavailable') return 'none';
    throw error;
  } finally {
    answered.abort();
  }
}

function keyOf(tenant: string, name: string): string {
  return `${tenant} ${name}`;
}
