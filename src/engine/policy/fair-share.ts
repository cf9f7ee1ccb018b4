/** A tenant's part of the engine. */
export interface TenantShare {
  /** Above 0: a backlogged tenant of weight 2 is served twice the tokens of one of weight 1. */
  readonly weight: number;
  /** Above 0, at most 1: the part of the waiting queue that the tenant's sequences may fill. */
  readonly queueShare: number;
}

/** Share of a tenant that has no other. */
export const FULL_SHARE: TenantShare = { weight: 1, queueShare: 1 };

/** Charge for a token of a prompt, and for a generated one: the paper's w_p and w_q. */
export const INPUT_COST = 1;
export const OUTPUT_COST = 2;

/**
 * Virtual token counters of S-LoRA's fair scheduler (Sheng et al. 2024, "Fairness in Serving Large Language Models", algorithm 2): how much
 * each tenant has been served, over its weight. The tenant with the smallest counter is next. One that comes back is lifted to those
 * who wait, so that it cannot save up service while it is away; between two tenants that wait all the time, served tokens differ by
 * no more than `2 * max(INPUT_COST * longest prompt, OUTPUT_COST * tokens in all slots)`, whatever each of them sends.
 */
export class VirtualCounters {
  readonly #counters = new Map<string, number>();
  #lastToLeave: string | undefined;
  #pruneAt = 1024;

  /** Tenants that have a counter. */
  get size(): number {
    return this.#counters.size;
  }

  of(tenant: string): number {
    return this.#counters.get(tenant) ?? 0;
  }

  /** A sequence of the tenant begins to wait, beside those of the tenants in `waiting`. */
  join(tenant: string, waiting: ReadonlySet<string>): void {
    if (waiting.has(tenant)) return;
    const others = waiting.size > 0 ? [...waiting] : this.#lastToLeave === undefined ? [] : [this.#lastToLeave];
    const floor = others.length > 0 ? Math.min(...others.map((other) => this.of(other))) : 0;
    this.#counters.set(tenant, Math.max(this.of(tenant), floor));
    if (this.size >= this.#pruneAt) this.#prune(new Set([...waiting, tenant]));
  }

  /** A sequence of the tenant waits no longer. */
  leave(tenant: string): void {
    this.#lastToLeave = tenant;
  }

  /** @param charge see `inputCharge` and `outputCharge` */
  add(tenant: string, charge: number): void {
    this.#counters.set(tenant, this.of(tenant) + charge);
  }

  /** Forgets who would be lifted anyway, so that the counters do not grow with everybody who ever came. */
  #prune(waiting: ReadonlySet<string>): void {
    const floor = Math.min(...[...waiting].map((tenant) => this.of(tenant)));
    for (const [tenant, counter] of this.#counters) {
      if (counter <= floor && !waiting.has(tenant) && tenant !== this.#lastToLeave) this.#counters.delete(tenant);
    }
    this.#pruneAt = Math.max(1024, 2 * this.size);
  }
}

/** Charge for an admission: for the tokens that are computed before the sequence generates. */
export function inputCharge({ weight, numRemainingTokens }: { weight: number; numRemainingTokens: number }): number {
  return (INPUT_COST * numRemainingTokens) / weight;
}

/** Charge for a generated token. */
export function outputCharge({ weight }: { weight: number }): number {
  return OUTPUT_COST / weight;
}
