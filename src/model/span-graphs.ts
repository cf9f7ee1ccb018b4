import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Session } from '../runtime/ort/session.js';
import { bindGraph, type BoundGraph } from './bound-graph.js';

/** Opens a session of `Architecture.writeSpansGraph`, which whoever asks disposes of. */
export type OpenSpans = (nodes: number, hasChunk: boolean) => Promise<Session>;

/** Graphs for rows of several tokens, each opened when it is first needed, and kept. */
export class SpanGraphs {
  readonly #opening = new Map<string, Promise<BoundGraph>>();
  readonly #opened = new Map<string, BoundGraph>();
  #numUnderWay = 0;

  constructor(
    private readonly openSpans: OpenSpans | undefined,
    /** The file of the sessions' weights. */
    private readonly weights: Pick<MappedFile, 'releasePages'>,
  ) {}

  /**
   * The graph for rows of up to `nodes` tokens.
   * @throws RangeError where the architecture writes none
   */
  open(nodes: number, hasChunk: boolean): Promise<BoundGraph> {
    const key = keyOf(nodes, hasChunk);
    const known = this.#opening.get(key);
    if (known !== undefined) return known;
    const opening = this.#open(nodes, hasChunk);
    this.#opening.set(key, opening);
    return opening;
  }

  /** Whether the graph for rows alone is open. Where it is not, begins to open it, one graph at a time; one that failed stays closed. */
  isOpen(nodes: number): boolean {
    const key = keyOf(nodes, false);
    if (this.#opened.has(key)) return true;
    if (this.openSpans !== undefined && this.#numUnderWay === 0 && !this.#opening.has(key)) {
      this.open(nodes, false).catch(() => undefined); // a step that needs the graph gets the error
    }
    return false;
  }

  /** Waits for graphs that are being opened, then closes all. */
  async dispose(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const { binding, session } of this.#opened.values()) {
      binding.dispose();
      await session.dispose();
    }
  }

  async #open(nodes: number, hasChunk: boolean): Promise<BoundGraph> {
    if (this.openSpans === undefined) throw new RangeError(`rows of ${nodes} tokens`);
    this.#numUnderWay++;
    try {
      const graph = bindGraph(await this.openSpans(nodes, hasChunk));
      this.#opened.set(keyOf(nodes, hasChunk), graph);
      this.weights.releasePages(); // the packed copies of the other graphs are what runs
      return graph;
    } finally {
      this.#numUnderWay--;
    }
  }
}

function keyOf(nodes: number, hasChunk: boolean): string {
  return `${nodes} ${hasChunk}`;
}
