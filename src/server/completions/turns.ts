import { setImmediate } from 'node:timers/promises';

/** Turns of the event loop that one HTTP request takes, never two at once: it does a part of its work in each, and others are served between. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** @param gone aborts when nobody waits for the request any more */
  constructor(private readonly gone: AbortSignal) {}

  /**
   * Settles in a turn after that of the call before.
   * @throws the signal's AbortError
   */
  next(): Promise<void> {
    this.#last = this.#last.then(() => setImmediate(undefined, { signal: this.gone }));
    return this.#last;
  }
}
