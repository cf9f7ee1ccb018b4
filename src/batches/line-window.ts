/** Somebody who waits to have a line under way. */
interface Waiting {
  readonly tenant: string;
  readonly go: () => void;
}

/**
 * Limits how many lines are under way in this process, over all its batches: of the tenants that wait, the one with the fewest under way is
 * next.
 */
export class LineWindow {
  /** Lines under way of each tenant that has any. */
  readonly #held = new Map<string, number>();
  readonly #waiting = new Set<Waiting>();
  #total = 0;

  /** @param size lines under way at the same time, at least 1 */
  constructor(private readonly size: number) {}

  /** A permit that is not held yet. */
  permit(tenant: string): LinePermit {
    return new LinePermit(
      (signal) => this.#acquire(tenant, signal),
      () => this.#release(tenant),
    );
  }

  #acquire(tenant: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        reject(signal.reason as Error);
      };
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { tenant, go };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.add(waiting);
      this.#serve();
    });
  }

  #release(tenant: string): void {
    const held = this.#heldBy(tenant) - 1;
    if (held > 0) this.#held.set(tenant, held);
    else this.#held.delete(tenant);
    this.#total--;
    this.#serve();
  }

  #serve(): void {
    while (this.#total < this.size) {
      const next = this.#next();
      if (next === undefined) return;
      this.#waiting.delete(next);
      this.#held.set(next.tenant, this.#heldBy(next.tenant) + 1);
      this.#total++;
      next.go();
    }
  }

  #next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const one of this.#waiting)
      if (best === undefined || this.#heldBy(one.tenant) < this.#heldBy(best.tenant)) best = one;
    return best;
  }

  #heldBy(tenant: string): number {
    return this.#held.get(tenant) ?? 0;
  }
}

/** The right to have one line under way. */
export class LinePermit {
  #isHeld = false;

  constructor(
    private readonly take: (signal: AbortSignal) => Promise<void>,
    private readonly giveBack: () => void,
  ) {}

  /** Waits for the permit. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<void> {
    await this.take(signal);
    this.#isHeld = true;
  }

  /** Gives it back; does nothing where it is not held. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.giveBack();
  }
}
