import { addUsage, type PrefixUsage } from '../quota.js';

/** What each tenant of a store uses, counted once and then kept up to date by the one process that writes. */
export class UsageLedger {
  readonly #counted = new Map<string, PrefixUsage>();

  /** What a tenant uses; `count` is called where that is not known yet. */
  async usage(tenant: string, count: () => Promise<PrefixUsage>): Promise<PrefixUsage> {
    const known = this.#counted.get(tenant) ?? (await count());
    this.#counted.set(tenant, known);
    return known;
  }

  /** A change that was made; negative for what was removed. Who was never counted is counted later, with it. */
  add(tenant: string, change: PrefixUsage): void {
    const known = this.#counted.get(tenant);
    if (known) this.#counted.set(tenant, addUsage(known, change));
  }
}
