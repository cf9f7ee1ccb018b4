import type { KvCopy, ModelRunner, Span, StepInput, StepOutput } from '../engine/runner.js';
import { type ModelShape, type PrefixKv, rowWidth, slotSite } from '../prefix/kv.js';
import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import type { Session } from '../runtime/ort/session.js';
import { Tensor } from '../runtime/ort/tensor.js';
import { type KvArena, ArenaCopy } from './backend/arena/kv-arena.js';
import { bindGraph, type BoundGraph } from './bound-graph.js';
import type { CrossForm } from './cross-attention.js';
import type { LateGraph } from './late-graph.js';
import { SlotBinding } from './slot-binding.js';
import { slotPositions } from './slot-positions.js';
import { SourceAttention } from './source-attention.js';
import { OnnxSourceEncoder, type SourceEncoderParts, type SourceSessions } from './source-encoder.js';
import { type OpenSpans, SpanGraphs } from './span-graphs.js';
import type { StepBuffers } from './step-buffers.js';
import { positionOf, StepCheck } from './step-check.js';
import { layOutStep, MAX_ROW_TOKENS, nodesFor, type StepLayout } from './step-layout.js';

/** Sessions that a runner drives and does not own. */
interface RunnerSessions {
  readonly uniform: Session;
  /** For a chunk beside rows, which no first request needs. */
  readonly mixed: LateGraph;
  readonly append: Session;
}

/** Parts of a runner, which owns the arena and the buffers, and borrows the rest. */
export interface RunnerParts {
  readonly runtime: Runtime;
  readonly shape: ModelShape;
  readonly sessions: RunnerSessions;
  /** Its sessions are the runner's own; rows before the last have one token where there is none. */
  readonly openSpans?: OpenSpans | undefined;
  /** The file of the sessions' weights. */
  readonly weights: Pick<MappedFile, 'releasePages'>;
  readonly slots: number;
  /** Has `slots` slots. */
  readonly arena: KvArena;
  /** Made for `slots` and `MAX_ROW_TOKENS`. */
  readonly buffers: StepBuffers;
  /** Of an encoder-decoder: its encoder, and the source slots, which the runner owns. */
  readonly sources?: SourceParts | undefined;
  /** The context unless given. */
  readonly maxChunkTokens?: number | undefined;
}

/** What encodes sources, and attends to them. */
export interface SourceParts {
  readonly sessions: SourceSessions;
  /** Has as many slots as the runner. */
  readonly arena: KvArena;
  /** How `uniform` and `mixed` compute cross-attention. */
  readonly form: CrossForm;
}

/**
 * Tokens after which the pages of embeddings that were read are given back. Where a row is read, Linux maps 64 KiB of the file and up
 * to 1 MiB: some hundred tokens would keep all of them resident, beside the packed copy that the head has.
 */
const TOKENS_PER_RELEASE = 32;

/** Runs the engine's steps on ONNX Runtime. One call at a time; everything it is given is checked before it is lent. */
export class OnnxRunner implements ModelRunner {
  readonly slots: number;
  readonly maxChunkTokens: number;
  readonly maxRowTokens: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly sources: OnnxSourceEncoder | undefined;
  readonly #uniform: BoundGraph;
  readonly #append: BoundGraph;
  readonly #spanGraphs: SpanGraphs;
  readonly #check: StepCheck;
  readonly #slots: SlotBinding;
  readonly #crossAttention: SourceAttention | undefined;
  #busy = false;
  #tokensRead = 0;

  constructor(private readonly parts: RunnerParts) {
    const { shape, sessions, slots, maxChunkTokens = shape.contextLength } = parts;
    this.slots = slots;
    this.maxChunkTokens = maxChunkTokens;
    this.maxRowTokens = parts.openSpans === undefined ? 1 : MAX_ROW_TOKENS;
    this.contextLength = shape.contextLength;
    this.vocabularySize = shape.vocabularySize;
    const { decoder: positions, cross } = slotPositions(shape);
    this.#slots = new SlotBinding(parts.buffers, parts.arena);
    this.#spanGraphs = new SpanGraphs(parts.openSpans, parts.weights);
    this.#check = new StepCheck({
      ...{ slots, positions, maxChunkTokens, maxRowTokens: this.maxRowTokens },
      ...{ contextLength: this.contextLength, vocabularySize: this.vocabularySize },
    });
    const { runtime, weights, buffers, sources } = parts;
    if (sources !== undefined) {
      const { sessions, arena, form } = sources;
      const exclusively: SourceEncoderParts['exclusively'] = (call) => this.#exclusively(call);
      const encoder = new OnnxSourceEncoder({
        runtime,
        shape,
        sessions,
        arena,
        slots,
        positions: cross,
        weights,
        exclusively,
      });
      this.sources = encoder;
      this.#crossAttention = new SourceAttention({ arena, form, buffers, lengthOf: (slot) => encoder.lengthOf(slot) });
    }
    this.#uniform = bindGraph(sessions.uniform);
    this.#append = bindGraph(sessions.append);
  }

  step(input: StepInput): Promise<StepOutput> {
    return this.#exclusively(async () => {
      this.#check.step(input);
      this.#checkSources(input.rows);
      const layout = layOutStep(input);
      const { rows, chunk } = layout;
      const { session, binding } = await this.#open(layout);
      const { tokens, kept } = this.#writeTokens(input);
      await this.parts.arena.prepare({ rows: rows.length, ...(chunk && { single: chunk }) });
      this.#slots.bind(binding, layout, tokens);
      this.#crossAttention?.bind(binding, input.rows);
      // A step always computes at least one row of logits: an operator over no rows is no operator.
      this.parts.buffers.bindHead(binding, Math.max(kept, 1), input.topK);
      await session.run(binding);
      this.parts.buffers.releaseTensors();
      this.#releaseEmbeddings(tokens);
      return this.parts.buffers.output(kept, input.topK);
    });
  }

  canVerify(rows: number, rowTokens: number): boolean {
    if (rows === 1) return rowTokens <= this.maxChunkTokens;
    return rowTokens <= this.maxRowTokens && this.#spanGraphs.isOpen(nodesFor(rowTokens));
  }

  append(slot: number, offset: number, kv: PrefixKv): Promise<void> {
    return this.#exclusively(async () => {
      this.#check.slot(slot);
      const site = slotSite(this.parts.shape);
      const width = rowWidth(site);
      const rows = kv.rows.get(site.name) ?? new Float32Array();
      if (rows.length !== kv.length * width) {
        throw new RangeError(`a prefix of ${kv.length} rows needs ${kv.length * width} values, not ${rows.length}`);
      }
      this.#check.range(offset, kv.length);
      if (kv.length === 0) return;
      const memory = this.parts.runtime.allocate(rows.byteLength);
      const prefix = new Tensor(this.parts.runtime, 'float32', [kv.length, width], memory);
      try {
        memory.float32(0, rows.length).set(rows);
        await this.parts.arena.prepare({ rows: 0, single: { slot, past: offset } });
        const { session, binding } = this.#append;
        this.#slots.rows(binding, slot, [offset + kv.length]);
        binding.input('prefix', prefix);
        await session.run(binding);
      } finally {
        this.parts.buffers.releaseTensors();
        prefix.dispose();
        memory.dispose();
      }
    });
  }

  copySlot(from: number, to: number, length: number, shared = 0): Promise<void> {
    return this.#exclusively(async () => {
      this.#check.slot(from);
      this.#check.slot(to);
      this.#check.range(0, length);
      this.#check.range(shared, length - shared);
      await this.parts.arena.copy(from, to, length, shared);
    });
  }

  readSlot(slot: number, from: number, length: number): Promise<KvCopy> {
    return this.#exclusively(async () => {
      this.#check.slot(slot);
      this.#check.range(from, length);
      return this.parts.arena.read(slot, from, length);
    });
  }

  writeSlot(slot: number, from: number, copy: KvCopy): Promise<void> {
    return this.#exclusively(async () => {
      this.#check.slot(slot);
      this.#check.range(from, copy.length);
      if (!(copy instanceof ArenaCopy)) throw new TypeError('the copy is of another runner');
      await this.parts.arena.write(slot, from, copy);
    });
  }

  /** Releases everything of its own. Call it when no step is running. */
  async dispose(): Promise<void> {
    if (this.#busy) throw new Error('a runner cannot be disposed during a call');
    for (const { binding } of [this.#uniform, this.#append]) binding.dispose();
    await this.#spanGraphs.dispose();
    this.parts.buffers.dispose();
    this.parts.arena.dispose();
    this.sources?.dispose();
    this.parts.sources?.arena.dispose();
  }

  async #open({ rows, chunk, nodes }: StepLayout): Promise<BoundGraph> {
    if (nodes > 1) return this.#spanGraphs.open(nodes, chunk !== undefined);
    return rows.length > 0 && chunk ? this.parts.sessions.mixed.open() : this.#uniform;
  }

  #releaseEmbeddings(tokens: number): void {
    this.#tokensRead += tokens;
    if (this.#tokensRead < TOKENS_PER_RELEASE) return;
    this.#tokensRead = 0;
    this.parts.weights.releasePages();
  }

  /** Writes ids, positions and the tokens whose logits are wanted; returns the number of all, and of those. */
  #writeTokens({ rows }: StepInput): { tokens: number; kept: number } {
    const { ids, positions, keep, temperature } = this.parts.buffers;
    let tokens = 0;
    let kept = 0;
    for (const span of rows) {
      const last = span.tokens.length - 1;
      const position = positionOf(span);
      span.tokens.forEach((id, index) => {
        ids[tokens] = BigInt(id);
        positions[tokens] = BigInt(position + index);
        if (span.logits === 'all' || (span.logits === 'last' && index === last)) {
          keep[kept] = BigInt(tokens);
          temperature[kept++] = span.temperature;
        }
        tokens++;
      });
    }
    if (kept === 0) {
      keep[0] = 0n;
      temperature[0] = 1;
    }
    return { tokens, kept };
  }

  #checkSources(rows: readonly Span[]): void {
    if (this.#crossAttention !== undefined) this.#crossAttention.check(rows);
    else if (rows.some(({ source }) => source !== undefined)) throw new RangeError('the model has no sources');
  }

  async #exclusively<T>(call: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error('a runner takes one call at a time');
    this.#busy = true;
    try {
      return await call();
    } finally {
      this.#busy = false;
    }
  }
}
