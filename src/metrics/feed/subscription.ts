import type { EngineEvent } from './engine-event.js';

/** The events that one listener gets. One that is slow loses events: only the newest one waits for it. */
export class Subscription {
  #newest: EngineEvent | undefined;
  #wake: (() => void) | undefined;
  #hasEnded = false;

  /** @param onEnd called once, when it ends */
  constructor(private readonly onEnd: () => void) {}

  /** Gives it an event, in place of one that was not taken. */
  offer(event: EngineEvent): void {
    this.#newest = event;
    this.#wake?.();
  }

  /** The newest event, as soon as there is one; undefined at the end. There is one caller at a time. */
  async next(): Promise<EngineEvent | undefined> {
    if (this.#newest === undefined && !this.#hasEnded) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    const event = this.#hasEnded ? undefined : this.#newest;
    this.#newest = undefined;
    return event;
  }

  /** Ends it; the second time has no effect. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd();
    this.#wake?.();
  }
}
