import type { Page, PageOptions } from '../lib/page.js';
import type { LimitChanges, OwnLimits } from './limits.js';

/** A stored tenant. */
export interface TenantRecord {
  readonly tenant: string;
  /** Unix seconds with milliseconds. Tells a tenant from an earlier, deleted one of the same name. */
  readonly created: number;
  readonly limits: OwnLimits;
}

/** A stored key: enough to check the key, not enough to use it. A revoked key is deleted. */
export interface KeyRecord {
  /** 20 hex digits, part of the key's text. */
  readonly id: string;
  readonly tenant: string;
  readonly label: string | undefined;
  /** Unix seconds with milliseconds. */
  readonly created: number;
  /** The key's last 4 characters, by which its owner can recognize it. */
  readonly last4: string;
  /** Hex. */
  readonly salt: string;
  /** Hex sha256 of salt and secret. */
  readonly hash: string;
}

export interface KeyPageOptions extends PageOptions {
  /** Only this tenant's. */
  readonly tenant?: string | undefined;
}

/** A change by this or another process. */
export interface TenancyChange {
  /** Ids of keys that are no longer valid. */
  readonly revoked: readonly string[];
}

/**
 * Tenants with their limits, and keys. Each change is all or nothing, and durable when it returns. Every method may throw
 * `StoreError` of `tenants` or `keys`.
 */
export interface TenancyStore {
  getTenant(tenant: string): Promise<TenantRecord | undefined>;
  /**
   * Changes a tenant's own limits; creates the tenant where it is missing.
   * @param now Unix seconds
   */
  setTenant(tenant: string, changes: LimitChanges, now: number): Promise<TenantRecord>;
  /** Removes a tenant with all its keys. False when there is none. */
  deleteTenant(tenant: string): Promise<boolean>;
  /** In the order of their names, byte by byte; a page may begin behind a tenant that does not exist any more. */
  listTenants(options: PageOptions): Promise<Page<TenantRecord>>;
  getKey(id: string): Promise<KeyRecord | undefined>;
  /** Adds a key; creates its tenant where it is missing. */
  addKey(key: KeyRecord): Promise<void>;
  /** Removes a key. False when there is none. */
  revokeKey(id: string): Promise<boolean>;
  /** In the order of their ids, which is that of their creation; a page may begin behind a key that does not exist any more. */
  listKeys(options: KeyPageOptions): Promise<Page<KeyRecord>>;
  /** Calls `listener` after a change by any process, and with undefined when changes may have been missed. */
  onChange(listener: (change: TenancyChange | undefined) => void): void;
}
