import type { Session } from '../runtime/ort/session.js';
import { bindGraph, type BoundGraph } from './bound-graph.js';

/** A graph that is opened once, when it is first asked for. Owns its session. */
export class LateGraph {
  #opening: Promise<BoundGraph> | undefined;
  #isDisposed = false;

  /** @param openSession opens the session on a worker thread, so that others can run meanwhile */
  constructor(private readonly openSession: () => Promise<Session>) {}

  /**
   * Opens the graph, or waits for the rest of an opening that is under way. After one that failed, the next call tries again.
   * @throws OnnxRuntimeError as `Session.open` does
   */
  open(): Promise<BoundGraph> {
    if (this.#isDisposed) return Promise.reject(new Error('the graph was disposed'));
    return (this.#opening ??= this.#open());
  }

  /** Waits for an opening under way, then releases the session. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    const opened = await this.#opening?.catch(() => undefined); // whoever opened it gets the error
    opened?.binding.dispose();
    await opened?.session.dispose();
  }

  async #open(): Promise<BoundGraph> {
    try {
      return bindGraph(await this.openSession());
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }
}
