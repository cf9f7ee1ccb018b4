/** Tenants that are remembered; of more, those that were asked for last. */
const MAX_TENANTS = 4096;

/**
 * A number for each tenant, by the order in which they are first asked for. It is of this process alone: nothing leads from it to the name,
 * and after a restart, or when many others came between, a tenant has another one.
 */
export class TenantNumbers {
  readonly #numbers = new Map<string, number>();
  #last = 0;

  /** From 1 on. */
  of(tenant: string): number {
    const number = this.#numbers.get(tenant) ?? ++this.#last;
    this.#numbers.delete(tenant);
    this.#numbers.set(tenant, number);
    if (this.#numbers.size > MAX_TENANTS) this.#numbers.delete(this.#numbers.keys().next().value ?? '');
    return number;
  }
}
