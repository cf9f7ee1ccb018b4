import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Session } from '../runtime/ort/session.js';
import type { BoundGraph } from './bound-graph.js';
import { LateGraph } from './late-graph.js';

/** Opens a session of `Architecture.writeSpansGraph`, which whoever asks disposes of. */
export type OpenSpans = (nodes: number, hasChunk: boolean) => Promise<Session>;

/** Graphs for rows of several tokens, each opened when it is first needed, and kept. */
export class SpanGraphs {
  readonly #graphs = new Map<string, LateGraph>();
  readonly #opened = new Set<string>();
  /** Tried beside the steps, and not to be tried again there: a step that needs one gets the error. */
  readonly #tried = new Set<string>();
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
  async open(nodes: number, hasChunk: boolean): Promise<BoundGraph> {
    const { openSpans } = this;
    if (openSpans === undefined) throw new RangeError(`rows of ${nodes} tokens`);
    const key = keyOf(nodes, hasChunk);
    const known = this.#graphs.get(key);
    const graph = known ?? new LateGraph(() => openSpans(nodes, hasChunk));
    if (known === undefined) this.#graphs.set(key, graph);
    this.#numUnderWay++;
    try {
      const opened = await graph.open();
      if (!this.#opened.has(key)) this.weights.releasePages(); // the packed copies of the other graphs are what runs
      this.#opened.add(key);
      return opened;
    } finally {
      this.#numUnderWay--;
    }
  }

  /** Whether the graph for rows alone is open. Where it is not, begins to open it beside the steps, one graph at a time. */
  isOpen(nodes: number): boolean {
    const key = keyOf(nodes, false);
    if (this.#opened.has(key)) return true;
    if (this.openSpans === undefined || this.#numUnderWay > 0 || this.#tried.has(key)) return false;
    this.#tried.add(key);
    this.open(nodes, false).catch(() => undefined);
    return false;
  }

  /** Waits for graphs that are being opened, then closes all. */
  async dispose(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.dispose();
  }
}

function keyOf(nodes: number, hasChunk: boolean): string {
  return `${nodes} ${hasChunk}`;
}
