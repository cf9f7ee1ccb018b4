import { StaleCache } from '../lib/stale-cache.js';
import { StoreError } from '../lib/store-error.js';
import { TenancyError } from './errors.js';
import type { LimitChanges, TenantLimits } from './limits.js';
import { issueKey, isSecretOf, parseKey, type IssuedKey, type KeyOwner } from './managed-key.js';
import type { ApiKey, StaticKey } from './static-keys.js';
import { StaticKeys } from './static-keys.js';
import { firstPage, type Page, type PageOptions } from '../lib/page.js';
import type { KeyPageOptions, KeyRecord, TenancyStore, TenantRecord } from './store.js';
import { UnstoredChanges } from './unstored-changes.js';

/** The tenant of a server without keys. */
export const DEFAULT_TENANT = 'default';

/** Cached records of each kind. 100,000 keys take about 50 MB. */
const MAX_ENTRIES = 100_000;

export interface TenancyOptions {
  readonly store: TenancyStore;
  readonly staticKeys: readonly ApiKey[];
  /** Limits of a tenant that has none of its own. */
  readonly defaults: TenantLimits;
  /** Whether requests need a key. */
  readonly needsKey: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The tenant that sends a request, with its limits. */
export interface Caller {
  readonly tenant: string;
  /** Unix seconds with milliseconds; null for a tenant that only the settings have. Tells a tenant from a deleted one of the same name. */
  readonly created: number | null;
  readonly limits: TenantLimits;
}

/** A tenant as its operator sees it. */
export interface TenantInfo extends Caller {
  /** Whether the tenant has keys in the settings. */
  readonly isStatic: boolean;
  /** The limits that are the tenant's own. The others are the server's defaults. */
  readonly own: TenantRecord['limits'];
}

/** A key from the settings, or one from the store. */
export type KeyInfo = StaticKey | KeyRecord;

/** What the store has of a tenant, if it has anything: the cache remembers tenants without a record too. */
interface Found {
  readonly record: TenantRecord | undefined;
}

/**
 * Tenants and keys as the server uses them: from the settings and from the store, with the server's defaults, cached. A revocation, a
 * deletion or a limit holds here at once, also where the store cannot take it; then the `StoreError` says so.
 */
export class Tenancy {
  readonly needsKey: boolean;
  readonly #staticKeys: StaticKeys;
  readonly #keys: StaleCache<KeyRecord>;
  readonly #tenants: StaleCache<Found>;
  readonly #unstored = new UnstoredChanges();

  constructor(private readonly options: TenancyOptions) {
    const { store, staticKeys, needsKey } = options;
    this.needsKey = needsKey;
    this.#staticKeys = new StaticKeys(staticKeys);
    // No patience: with a slow store too, a revoked key must be refused.
    const cache = { maxSize: MAX_ENTRIES, now: () => performance.now() };
    this.#keys = new StaleCache(cache);
    this.#tenants = new StaleCache(cache);
    store.onChange((change) => this.#expire(change?.revoked));
  }

  /**
   * The tenant of a key; undefined for an invalid key. While the store is away, keys that were valid at its last answer stay valid.
   * @param key undefined when the request has none
   * @throws StoreError for a key that only the store can check, while it is away
   */
  async authenticate(key: string | undefined): Promise<Caller | undefined> {
    if (!this.needsKey) return this.callerOf(DEFAULT_TENANT);
    const tenant = this.#staticKeys.tenantOf(key ?? '') ?? (await this.#ownerOf(key ?? ''));
    return tenant === undefined ? undefined : this.callerOf(tenant);
  }

  /** The limits of a tenant; the defaults while the store is away and the tenant is not cached. */
  async limitsOf(tenant: string): Promise<TenantLimits> {
    return (await this.callerOf(tenant)).limits;
  }

  /** A tenant with its limits; the defaults while the store is away and the tenant is not cached. */
  async callerOf(tenant: string): Promise<Caller> {
    const load = async (): Promise<Found> => ({ record: await this.options.store.getTenant(tenant) });
    try {
      return this.#withDefaults(tenant, (await this.#tenants.get(tenant, load))?.record);
    } catch (error) {
      if (error instanceof StoreError) return this.#withDefaults(tenant);
      throw error;
    }
  }

  /** Makes a key. Its text is in the answer and nowhere else. */
  async createKey(owner: KeyOwner): Promise<IssuedKey> {
    const issued = issueKey(owner, this.#now());
    await this.options.store.addKey(issued.record);
    return issued;
  }

  /** @throws TenancyError `key_not_found` or `key_static` */
  async revokeKey(id: string): Promise<void> {
    if (this.#staticKeys.list.some((key) => key.id === id))
      throw new TenancyError('key_static', `Key ${id} is in PREAMBLE_API_KEYS: remove it there.`);
    this.#unstored.revokeKey(id);
    const besides = 'This server refuses the key until it restarts; repeat the call to revoke it for good.';
    const existed = await storing(this.options.store.revokeKey(id), besides);
    this.#unstored.keyIsStored(id);
    this.#expire([id]);
    if (!existed) throw new TenancyError('key_not_found', 'There is no such key.');
  }

  /** A page of keys: first those of the settings, then those of the store. */
  async listKeys({ tenant, limit, after }: KeyPageOptions): Promise<Page<KeyInfo>> {
    const own = this.#staticKeys.list.filter((key) => tenant === undefined || key.tenant === tenant);
    const before = own.slice(own.findIndex(({ id }) => id === after) + 1);
    const shown = after === undefined || after.startsWith('static-') ? before : [];
    const cursor = after?.startsWith('static-') ? undefined : after;
    const stored = await this.options.store.listKeys({ tenant, limit, after: cursor });
    return firstPage([...shown, ...stored.data], limit, stored.hasMore);
  }

  /** Changes limits. Creates the tenant if it is missing. */
  async setTenant(tenant: string, changes: LimitChanges): Promise<{ created: boolean; info: TenantInfo }> {
    const all = this.#unstored.setLimits(tenant, changes);
    const besides = 'The limits hold on this server until it restarts; repeat the call to store them.';
    const found = await storing(this.#find(tenant), besides);
    const record = await storing(this.options.store.setTenant(tenant, all, this.#now() / 1000), besides);
    this.#unstored.limitsAreStored(tenant, all);
    this.#expire();
    return { created: found === undefined, info: this.#toInfo(tenant, record) };
  }

  /** @throws TenancyError `tenant_not_found` */
  async getTenant(tenant: string): Promise<TenantInfo> {
    const found = await this.#find(tenant);
    if (!found) throw new TenancyError('tenant_not_found', 'There is no such tenant.');
    return found;
  }

  /**
   * Removes a tenant with all its keys. False when there is none.
   * @throws TenancyError `tenant_static`
   */
  async deleteTenant(tenant: string): Promise<boolean> {
    if (this.#staticKeys.tenants.includes(tenant))
      throw new TenancyError(
        'tenant_static',
        `Tenant ${tenant} has keys in PREAMBLE_API_KEYS: remove them there first.`,
      );
    this.#unstored.deleteTenant(tenant, this.#now() / 1000);
    const besides = "This server refuses the tenant's keys until it restarts; repeat the call to delete the tenant.";
    const existed = await storing(this.options.store.deleteTenant(tenant), besides);
    this.#unstored.tenantIsStored(tenant);
    this.#expire();
    return existed;
  }

  /** A page of tenants, of the store and of the settings, in the order of their names. */
  async listTenants({ limit, after = '' }: PageOptions): Promise<Page<TenantInfo>> {
    const { data, hasMore } = await this.options.store.listTenants({ limit, after });
    const known = new Set(data.map(({ tenant }) => tenant));
    const end = hasMore ? (data.at(-1)?.tenant ?? '') : undefined;
    const missing = this.#staticKeys.tenants.filter(
      (tenant) => tenant > after && !known.has(tenant) && (end === undefined || tenant < end),
    );
    const infos = [
      ...data.map((record) => this.#toInfo(record.tenant, record)),
      ...missing.map((t) => this.#toInfo(t)),
    ];
    return firstPage(
      infos.sort((a, b) => (a.tenant < b.tenant ? -1 : 1)),
      limit,
      hasMore,
    );
  }

  async #find(tenant: string): Promise<TenantInfo | undefined> {
    const record = await this.options.store.getTenant(tenant);
    const isKnown = record !== undefined || this.#staticKeys.tenants.includes(tenant);
    return isKnown ? this.#toInfo(tenant, record) : undefined;
  }

  async #ownerOf(key: string): Promise<string | undefined> {
    const parts = parseKey(key);
    if (!parts) return undefined;
    const record = await this.#keys.get(parts.id, () => this.options.store.getKey(parts.id));
    return isSecretOf(record, parts.secret) && !this.#unstored.refuses(record) ? record.tenant : undefined;
  }

  #withDefaults(tenant: string, record?: TenantRecord): Caller {
    const own = this.#unstored.limitsOf(tenant, record?.limits ?? {});
    return { tenant, created: record?.created ?? null, limits: { ...this.options.defaults, ...own } };
  }

  #toInfo(tenant: string, record?: TenantRecord): TenantInfo {
    const isStatic = this.#staticKeys.tenants.includes(tenant);
    return {
      ...this.#withDefaults(tenant, record),
      isStatic,
      own: this.#unstored.limitsOf(tenant, record?.limits ?? {}),
    };
  }

  #expire(revoked: readonly string[] = []): void {
    this.#keys.expire();
    this.#tenants.expire();
    for (const id of revoked) this.#keys.forget(id);
  }

  #now(): number {
    return (this.options.now ?? Date.now)();
  }
}

/** Awaits a change that is in force here already. @param besides says so, where the store cannot take it */
async function storing<T>(change: Promise<T>, besides: string): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreError(error.store, error.reason, { cause: error.cause, besides });
  }
}
