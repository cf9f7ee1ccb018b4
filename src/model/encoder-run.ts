import {
  CROSS,
  ENCODER,
  type ModelShape,
  numSourceEmbeddings,
  numVirtualTokens,
  type PrefixKv,
  siteNamed,
} from '../prefix/kv.js';
import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import { ScratchTensors } from '../runtime/ort/scratch-tensors.js';
import type { Binding } from '../runtime/ort/session.js';
import type { KvArena } from './backend/arena/kv-arena.js';
import type { BoundGraph } from './bound-graph.js';
import { LayerStates } from './layer-states.js';

/** What an encoding computes with; it owns none of it. */
export interface EncoderRunParts {
  readonly runtime: Runtime;
  readonly shape: ModelShape;
  /** Graphs of all stages, and that which writes virtual tokens into a source slot. */
  readonly graphs: { readonly stages: readonly BoundGraph[]; readonly append: BoundGraph };
  /** The source slots. */
  readonly arena: KvArena;
  /** The file of the sessions' weights. */
  readonly weights: Pick<MappedFile, 'releasePages'>;
}

/**
 * One source on its way through the encoder. Stage 0 makes embeddings and the first layer's keys and values; stage l is layer l - 1 and
 * makes those of the next; the last stage makes the cross-attention's, in the source slot. A stage needs the one before it whole,
 * but its rows are independent of each other: they are computed in pieces.
 */
export class EncoderRun {
  /** Rows of the source slot when all is done. */
  readonly length: number;
  readonly #numEmbeddings: number;
  /** Input embeddings of the prefix and tokens of the source. */
  readonly #numTokens: number;
  readonly #numCross: number;
  readonly #states: LayerStates;
  #stage = 0;
  /** Rows of the stage that are computed. */
  #done = 0;
  #isRunning = false;
  #isDisposed = false;

  /** The source and the prefix must fit the model and the slot: they are not checked again. */
  constructor(
    private readonly parts: EncoderRunParts,
    readonly slot: number,
    private readonly source: readonly number[],
    private readonly prefix: PrefixKv | undefined,
  ) {
    const { runtime, shape } = parts;
    this.#numEmbeddings = numSourceEmbeddings(prefix, shape);
    this.#numTokens = this.#numEmbeddings + source.length;
    this.#numCross = numVirtualTokens(prefix, siteNamed(shape, CROSS));
    this.length = this.#numCross + this.#numTokens;
    this.#states = new LayerStates(runtime, siteNamed(shape, ENCODER), this.#numTokens, prefix?.rows.get(ENCODER));
  }

  get isEncoded(): boolean {
    return this.#stage === this.parts.graphs.stages.length;
  }

  /** Computes up to `maxTokens` rows of the present stage. Throws once it was disposed. */
  async advance(maxTokens: number): Promise<void> {
    if (this.isEncoded) return;
    if (this.#isDisposed) throw new Error('the encoding was disposed');
    const scratch = new ScratchTensors(this.parts.runtime);
    this.#isRunning = true;
    try {
      await this.#runPiece(Math.min(maxTokens, this.#numTokens - this.#done), scratch);
    } finally {
      this.#isRunning = false;
      scratch.dispose();
      this.#states.releaseTensors();
      this.#releaseMemory();
    }
  }

  /** Releases its memory; while a piece is computed, once that is done. */
  dispose(): void {
    this.#isDisposed = true;
    if (!this.#isRunning) this.#releaseMemory();
  }

  #releaseMemory(): void {
    if (this.isEncoded || this.#isDisposed) this.#states.dispose();
  }

  async #runPiece(rows: number, scratch: ScratchTensors): Promise<void> {
    const [stage, first] = [this.#stage, this.#done];
    const { stages } = this.parts.graphs;
    const isLast = stage === stages.length - 1;
    if (isLast && first === 0) await this.#appendCross(scratch);
    const { session, binding } = stages[stage] as BoundGraph;
    if (stage === 0) this.#bindTokens(binding, rows, scratch);
    else this.#states.bindInputs(binding, stage, first, rows);
    if (isLast) await this.#bindSlot(binding, this.#numCross + first, scratch);
    else this.#states.bindOutputs(binding, stage, first, rows);
    await session.run(binding);
    this.#done += rows;
    if (this.#done < this.#numTokens) return;
    this.#stage++;
    this.#done = 0;
    if (stage === 0) this.parts.weights.releasePages(); // those of the embeddings that were read
  }

  /** Binds the next `rows` rows of the encoder's input: embeddings of the prefix, then tokens. */
  #bindTokens(binding: Binding, rows: number, scratch: ScratchTensors): void {
    const { width } = this.parts.shape;
    const [first, end] = [this.#done, this.#done + rows];
    const [from, to] = [first, end].map((row) => Math.min(row, this.#numEmbeddings) * width) as [number, number];
    const embeddings = this.prefix?.sourceEmbeddings?.subarray(from, to) ?? new Float32Array();
    const ids = this.source.slice(...[first, end].map((row) => Math.max(row - this.#numEmbeddings, 0)));
    const virtual = [embeddings.length / width, width];
    binding.input(
      'embeddings',
      scratch.make('float32', virtual, (m) => m.float32(0, embeddings.length).set(embeddings)),
    );
    binding.input('ids', int64(scratch, ids));
    binding.input('positions', int64(scratch, range(first, end)));
  }

  /** Writes the virtual tokens of the cross-attention in front. */
  async #appendCross(scratch: ScratchTensors): Promise<void> {
    const rows = this.prefix?.rows.get(CROSS);
    if (rows === undefined || rows.length === 0) return;
    const { session, binding } = this.parts.graphs.append;
    const shape = [this.#numCross, rows.length / this.#numCross];
    binding.input(
      'prefix',
      scratch.make('float32', shape, (m) => m.float32(0, rows.length).set(rows)),
    );
    await this.#bindSlot(binding, 0, scratch);
    await session.run(binding);
  }

  /** Binds the source slot, which is written from row `offset` on. */
  async #bindSlot(binding: Binding, offset: number, scratch: ScratchTensors): Promise<void> {
    const { arena } = this.parts;
    await arena.prepare({ rows: 0, single: { slot: this.slot, past: offset } });
    arena.bind(binding, 'cross', this.slot, 1, 1);
    binding.input('offset', int64(scratch, [offset]));
  }
}

function int64(scratch: ScratchTensors, values: readonly number[]): ReturnType<ScratchTensors['make']> {
  return scratch.make('int64', [values.length], (memory) => memory.int64(0, values.length).set(values.map(BigInt)));
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}
