/**
 * Wake-ups of consumers, made at once or deferred until the next step is under way: consumers then write their answers while the
 * model computes, and not between two steps.
 */
export class DeferredWakeups {
  #waiting: (() => void)[] = [];
  #isDeferring = false;

  /** Calls `wake` now, or at the next `flush` while work is deferred. */
  readonly call = (wake: () => void): void => {
    if (this.#isDeferring) this.#waiting.push(wake);
    else wake();
  };

  /** Runs `work`; wake-ups that are made until it settles wait for the next `flush`. */
  async defer<T>(work: () => Promise<T>): Promise<T> {
    this.#isDeferring = true;
    try {
      return await work();
    } finally {
      this.#isDeferring = false;
    }
  }

  /** Makes all deferred wake-ups, in order. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
