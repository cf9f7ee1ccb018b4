/** Lets so many tasks run at the same time; the others wait, in the order in which they came. */
export class ConcurrencyLimit {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param max at least 1 */
  constructor(private readonly max: number) {}

  /** Nothing runs or waits. */
  get isIdle(): boolean {
    return this.#running === 0;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    // Who is woken takes over the place of who has finished.
    if (this.#running >= this.max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
