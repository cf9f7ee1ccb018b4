import { addUsage, type PrefixUsage } from '../quota.js';

/** The usage of each tenant of a store: counted once, then kept up to date by the one process that writes. */
export class UsageLedger {
  readonly #counted = new Map<string, PrefixUsage>();

  /** The tenant's usage; calls `count` if it is not known yet. */
  async usage(tenant: string, count: () => Promise<PrefixUsage>): Promise<PrefixUsage> {
    const known = this.#counted.get(tenant) ?? (await count());
    this.#counted.set(tenant, known);
    return known;
  }

  /**
   * Records a change of usage, negative for a removal. A tenant that was not counted yet is skipped: the later count
   * includes the change.
   */
  add(tenant: string, change: PrefixUsage): void {
    const known = this.#counted.get(tenant);
    if (known) this.#counted.set(tenant, addUsage(known, change));
  }

  /** Has a tenant's usage counted again, after a change whose size nobody knows. */
  forget(tenant: string): void {
    this.#counted.delete(tenant);
  }
}
