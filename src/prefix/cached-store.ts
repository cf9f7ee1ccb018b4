import type { Page } from '../lib/page.js';
import { StaleCache } from '../lib/stale-cache.js';
import { tenantKey } from './name.js';
import type { PrefixQuota } from './quota.js';
import {
  type FileStream,
  findVersion,
  type ForeignPrefix,
  type ListOptions,
  type NameState,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixStore,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
  withInfo,
} from './store.js';

/** Versions that are remembered, over all names. */
const MAX_VERSIONS = 100_000;
/** Adapters' ids whose names are remembered. */
const MAX_IDS = 100_000;
/** How long a request waits for a slow store where an answer of before is known. */
const PATIENCE_MS = 300;

export interface CachedStoreOptions {
  /** Milliseconds from any start, never backwards. */
  readonly now?: () => number;
}

/**
 * A cache of names and adapters' ids over a store that other processes change too. A change elsewhere is seen at once where the store
 * tells of it (`forget`), and within 0.4 s where its message was missed. While the store is away or slow, names and ids stand for what
 * they stood for last; one that was not asked for before, or is known to have changed, throws the store's `StoreError`.
 */
export class CachedPrefixStore implements PrefixStore {
  readonly #details: StaleCache<PrefixDetails>;
  /** Names by adapters' ids. */
  readonly #names: StaleCache<string>;

  constructor(
    private readonly store: PrefixStore,
    { now = () => performance.now() }: CachedStoreOptions = {},
  ) {
    const sizeOf = ({ versions }: PrefixDetails): number => 1 + versions.length;
    const cache = { patienceMs: PATIENCE_MS, now };
    this.#details = new StaleCache({ ...cache, maxSize: MAX_VERSIONS, sizeOf });
    this.#names = new StaleCache({ ...cache, maxSize: MAX_IDS });
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    const key = keyOf(tenantKey(tenant), name);
    const details = await this.#details.get(key, () => this.store.get(tenant, name));
    if (details === undefined || version === undefined) return details;
    const info = findVersion(details.versions, version);
    return info && withInfo(details, info);
  }

  async nameOf(tenant: string, id: string): Promise<string | undefined> {
    return this.#names.get(keyOf(tenantKey(tenant), id), () => this.store.nameOf(tenant, id));
  }

  async put(tenant: string, upload: PrefixUpload, quota?: PrefixQuota): Promise<PutResult> {
    return this.#changing(tenant, upload.info.name, () => this.store.put(tenant, upload, quota));
  }

  async isWhole(tenant: string, name: string, version: string): Promise<boolean> {
    return this.store.isWhole(tenant, name, version);
  }

  async promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined> {
    return this.#changing(tenant, name, () => this.store.promote(tenant, name, version));
  }

  async update(
    tenant: string,
    name: string,
    change: (details: PrefixDetails) => NameState,
  ): Promise<PrefixDetails | undefined> {
    return this.#changing(tenant, name, () => this.store.update(tenant, name, change));
  }

  async offers(tenant: string): Promise<readonly ForeignPrefix[]> {
    return this.store.offers(tenant);
  }

  async noteOffer(tenant: string, prefix: ForeignPrefix, isOffered: boolean): Promise<void> {
    return this.store.noteOffer(tenant, prefix, isOffered);
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    return this.#changing(tenant, name, () => this.store.delete(tenant, name));
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return this.store.read(tenant, name, version, file);
  }

  async stream(tenant: string, name: string, version: string, file: StoredFileName): Promise<FileStream | undefined> {
    return this.store.stream(tenant, name, version, file);
  }

  async list(tenant: string, options?: ListOptions): Promise<Page<PrefixInfo>> {
    return this.store.list(tenant, options);
  }

  /**
   * Drops a name that has changed, perhaps before it was asked for last.
   * @param tenant the tenant's key
   * @param version the version that the name stands for now, for all requests; undefined when the name is gone, or nobody knows
   */
  forget(tenant: string, name: string, version?: string): void {
    const key = keyOf(tenant, name);
    this.#details.forget(key, (known) => known.version === version && known.shares === undefined);
    // A name that looks like an adapter's id comes before the adapter.
    this.#names.forget(key);
  }

  /** Makes every name stale: anything may have changed. */
  expire(): void {
    this.#details.expire();
    this.#names.expire();
  }

  /** Runs a change and drops its name, also where the change failed: it may have happened all the same. */
  async #changing<T>(tenant: string, name: string, change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } finally {
      this.forget(tenantKey(tenant), name);
    }
  }
}

function keyOf(tenant: string, name: string): string {
  return `${tenant} ${name}`;
}
