import { setTimeout as delay } from 'node:timers/promises';

/** Pause before Redis is asked again that has refused to answer. Milliseconds. */
const ASK_EVERY_MS = 1000;

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

  /** Makes the lock last again, as soon as Redis does so: it may have run out while Redis was away. Gives up when `leaving` is aborted. */
  async renew(leaving: AbortSignal): Promise<void> {
    while (!this.lost.aborted && !leaving.aborted) {
      if (await this.#extend()) return;
      await delay(ASK_EVERY_MS, undefined, { signal: AbortSignal.any([leaving, this.lost]) }).catch(() => undefined);
    }
  }

  release(): void {
    this.#released = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#keep(), this.duration / 3);
  }

  async #keep(): Promise<void> {
    await this.#extend(); // an answer that got lost is asked for again
    if (!this.#released && !this.lost.aborted) this.#wait();
  }

  /** Whether the lock lasts again. */
  async #extend(): Promise<boolean> {
    const kept = await this.extend().catch(() => undefined);
    if (kept === false && !this.#released) this.#lost.abort();
    return kept === true;
  }
}
