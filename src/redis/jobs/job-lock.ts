/** Keeps a job this worker's while it is done, and tells when it is not any more. */
export class JobLock {
  readonly #lost = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #released = false;

  /**
   * @param extend makes the lock last again; false when the job is another's. While Redis is away it waits: nobody else takes the job then.
   * @param duration how long the lock lasts. Milliseconds.
   */
  constructor(
    private readonly extend: () => Promise<boolean>,
    private readonly duration: number,
  ) {
    this.#wait();
  }

  /** Aborted when the job is another's. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  release(): void {
    this.#released = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#renew(), this.duration / 3);
  }

  async #renew(): Promise<void> {
    const kept = await this.extend().catch(() => true); // an answer that got lost is asked for again
    if (this.#released) return;
    if (kept) this.#wait();
    else this.#lost.abort();
  }
}
