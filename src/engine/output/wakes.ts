/**
 * Consumers to wake: at once, or together when the next step is under way, so that they write their answers while the model
 * computes and not between two steps.
 */
export class Wakes {
  #waiting: (() => void)[] = [];
  #isDeferring = false;

  /** Calls `wake` now, or at the next `flush` while work is deferred. */
  readonly call = (wake: () => void): void => {
    if (this.#isDeferring) this.#waiting.push(wake);
    else wake();
  };

  /** Runs `work`; those whom it calls wait for the next `flush`. */
  defer<T>(work: () => T): T {
    this.#isDeferring = true;
    try {
      return work();
    } finally {
      this.#isDeferring = false;
    }
  }

  /** Wakes all that wait, in order. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
