import type { SourceEncoder, SourceEncoding } from '../engine/runner.js';
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
import type { Session } from '../runtime/ort/session.js';
import type { KvArena } from './backend/arena/kv-arena.js';
import { bindGraph, type BoundGraph } from './bound-graph.js';
import { EncoderRun } from './encoder-run.js';

/** Sessions of the graphs that encode a source, which the encoder borrows. */
export interface SourceSessions {
  /** One for each encoder layer, and one. */
  readonly stages: readonly Session[];
  readonly append: Session;
}

/** What an encoder is made of; it owns none of it. */
export interface SourceEncoderParts {
  readonly runtime: Runtime;
  readonly shape: ModelShape;
  readonly sessions: SourceSessions;
  /** The source slots: keys and values of the site `cross`. */
  readonly arena: KvArena;
  readonly slots: number;
  /** Positions of a source slot. */
  readonly positions: number;
  /** The file of the sessions' weights. */
  readonly weights: Pick<MappedFile, 'releasePages'>;
  /** Makes a call one of the runner's, of which there is one at a time. */
  readonly exclusively: <T>(call: () => Promise<T>) => Promise<T>;
}

/** Encodes sources into source slots on ONNX Runtime. Everything it is given is checked before native code sees it. */
export class OnnxSourceEncoder implements SourceEncoder {
  readonly maxTokens: number;
  readonly width: number;
  readonly #stages: readonly BoundGraph[];
  readonly #append: BoundGraph;
  /** Rows of each source slot: 0 where none is encoded. */
  readonly #lengths: Int32Array;
  /** The encoding that each source slot was last given to. */
  readonly #owners: (EncoderRun | undefined)[] = [];

  /** @throws RangeError for a model without an encoder */
  constructor(private readonly parts: SourceEncoderParts) {
    const { shape, sessions, slots } = parts;
    const stages = siteNamed(shape, ENCODER).layers + 1;
    if (shape.sourceLength === undefined || sessions.stages.length !== stages) {
      throw new RangeError(`${sessions.stages.length} graphs cannot encode the sources of this model`);
    }
    this.maxTokens = shape.sourceLength;
    this.width = shape.width;
    this.#lengths = new Int32Array(slots);
    this.#stages = sessions.stages.map(bindGraph);
    this.#append = bindGraph(sessions.append);
  }

  begin(slot: number, source: readonly number[], prefix?: PrefixKv): SourceEncoding {
    this.#checkSlot(slot);
    this.#checkSource(source, prefix);
    const { runtime, shape, arena, weights } = this.parts;
    const graphs = { stages: this.#stages, append: this.#append };
    const run = new EncoderRun({ runtime, shape, arena, weights, graphs }, slot, source, prefix);
    this.#owners[slot] = run;
    this.#lengths[slot] = 0;
    return { advance: (maxTokens) => this.#advance(run, maxTokens), dispose: () => this.#end(run) };
  }

  /** Rows of an encoded source in its slot, virtual tokens included; 0 for a slot that holds no encoded source. */
  lengthOf(slot: number): number {
    this.#checkSlot(slot);
    return this.#lengths[slot] as number;
  }

  /** Releases what is its own; not the encodings, nor what it borrows. */
  dispose(): void {
    for (const { binding } of [...this.#stages, this.#append]) binding.dispose();
  }

  #advance(run: EncoderRun, maxTokens: number): Promise<boolean> {
    return this.parts.exclusively(async () => {
      if (!Number.isInteger(maxTokens) || maxTokens < 1) throw new RangeError(`a piece of ${maxTokens} tokens`);
      if (!this.#owns(run)) throw new Error(`source slot ${run.slot} is not this source's any more`);
      await run.advance(maxTokens);
      // While the piece was computed, the slot may have been given away.
      if (run.isEncoded && this.#owns(run)) this.#lengths[run.slot] = run.length;
      return run.isEncoded;
    });
  }

  #end(run: EncoderRun): void {
    run.dispose();
    if (this.#owns(run)) this.#owners[run.slot] = undefined;
  }

  #owns(run: EncoderRun): boolean {
    return this.#owners[run.slot] === run;
  }

  #checkSlot(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.parts.slots) throw new RangeError(`source slot ${slot}`);
  }

  #checkSource(source: readonly number[], prefix: PrefixKv | undefined): void {
    const { shape, positions } = this.parts;
    if (source.length === 0) throw new RangeError('a source needs a token');
    for (const id of source) {
      if (!Number.isInteger(id) || id < 0 || id >= shape.vocabularySize) throw new RangeError(`token id ${id}`);
    }
    const embeddings = numSourceEmbeddings(prefix, shape);
    if (!Number.isInteger(embeddings)) {
      throw new RangeError(`${embeddings * shape.width} values are no input embeddings of width ${shape.width}`);
    }
    const tokens = source.length + embeddings;
    if (tokens > this.maxTokens) throw new RangeError(`a source of ${tokens} tokens: ${this.maxTokens} fit`);
    const limits = [
      [ENCODER, this.maxTokens],
      [CROSS, positions - tokens],
    ] as const;
    for (const [name, limit] of limits) {
      const rows = numVirtualTokens(prefix, siteNamed(shape, name));
      if (!Number.isInteger(rows) || rows > limit) {
        throw new RangeError(`${rows} virtual tokens at the site ${name}: ${limit} fit`);
      }
    }
  }
}
