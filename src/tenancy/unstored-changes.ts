import { changeLimits, type LimitChanges, type OwnLimits } from './limits.js';
import type { KeyRecord } from './store.js';

/** Changes that the store could not take, in force in this process until they are stored or it ends. */
export class UnstoredChanges {
  readonly #revokedKeys = new Set<string>();
  /** When a tenant was deleted, in Unix seconds: keys that it got later are new ones. */
  readonly #deletedTenants = new Map<string, number>();
  readonly #limits = new Map<string, LimitChanges>();

  /** Refuses a key from now on. */
  revokeKey(id: string): void {
    this.#revokedKeys.add(id);
  }

  /** Refuses the keys that a tenant has at `now`, in Unix seconds. */
  deleteTenant(tenant: string, now: number): void {
    this.#deletedTenants.set(tenant, now);
    this.#limits.delete(tenant);
  }

  /** Adds changes of a tenant's own limits to those that are not stored yet, and returns them all. */
  setLimits(tenant: string, changes: LimitChanges): LimitChanges {
    const all = { ...this.#limits.get(tenant), ...changes };
    this.#limits.set(tenant, all);
    return all;
  }

  /** Whether a key is refused here, whatever the store says. */
  refuses({ id, tenant, created }: KeyRecord): boolean {
    return this.#revokedKeys.has(id) || created <= (this.#deletedTenants.get(tenant) ?? -Infinity);
  }

  /** The limits of its own that a tenant has here. @param stored those that the store says */
  limitsOf(tenant: string, stored: OwnLimits): OwnLimits {
    const changes = this.#limits.get(tenant);
    return changes === undefined ? stored : changeLimits(stored, changes);
  }

  keyIsStored(id: string): void {
    this.#revokedKeys.delete(id);
  }

  tenantIsStored(tenant: string): void {
    this.#deletedTenants.delete(tenant);
  }

  /** @param limits what `setLimits` returned: changes since then are not stored yet */
  limitsAreStored(tenant: string, limits: LimitChanges): void {
    if (this.#limits.get(tenant) === limits) this.#limits.delete(tenant);
  }
}
