import type { KvSpan, ModelRunner, PromptChunk, StepInput, StepOutput } from '../engine/runner.js';
import { type ModelShape, type PrefixKv, rowWidth, selfRows, selfSite } from '../prefix/kv.js';
import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import type { Binding, Session } from '../runtime/ort/session.js';
import { Tensor } from '../runtime/ort/tensor.js';
import { type KvArena, ArenaSpan } from './backend/kv-arena.js';
import type { StepBuffers } from './step-buffers.js';

/** The sessions that a runner drives. It does not own them. */
export interface RunnerSessions {
  readonly uniform: Session;
  readonly mixed: Session;
  readonly append: Session;
}

/** What a runner is made of: it owns the arena and the buffers, and borrows the rest. */
export interface RunnerParts {
  readonly runtime: Runtime;
  readonly shape: ModelShape;
  readonly sessions: RunnerSessions;
  /** The file of the sessions' weights. */
  readonly weights: Pick<MappedFile, 'releasePages'>;
  readonly slots: number;
  /** Of as many slots. */
  readonly arena: KvArena;
  readonly buffers: StepBuffers;
  /** The context unless given. */
  readonly maxChunkTokens?: number | undefined;
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
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly #bindings: Record<keyof RunnerSessions, Binding>;
  #busy = false;
  #tokensRead = 0;

  constructor(private readonly parts: RunnerParts) {
    const { shape, sessions, slots, maxChunkTokens = shape.contextLength } = parts;
    this.slots = slots;
    this.maxChunkTokens = maxChunkTokens;
    this.contextLength = shape.contextLength;
    this.vocabularySize = shape.vocabularySize;
    this.#bindings = { uniform: sessions.uniform.bind(), mixed: sessions.mixed.bind(), append: sessions.append.bind() };
  }

  step(input: StepInput): Promise<StepOutput> {
    return this.#exclusively(async () => {
      this.#check(input);
      const rows = this.#writeTokens(input);
      await this.parts.arena.prepare({ rows: input.decode.length, ...(input.chunk && { single: input.chunk }) });
      const session = input.chunk !== undefined && input.decode.length > 0 ? 'mixed' : 'uniform';
      if (session === 'mixed') this.#bindMixed(input.decode.length, input.chunk as PromptChunk);
      else this.#bindUniform(input);
      // A step always computes at least one row of logits: an operator over no rows is no operator.
      this.parts.buffers.bindHead(this.#bindings[session], Math.max(rows, 1), input.topK);
      await this.parts.sessions[session].run(this.#bindings[session]);
      this.parts.buffers.releaseTensors();
      this.#releaseEmbeddings(input);
      return this.parts.buffers.output(rows, input.topK);
    });
  }

  append(slot: number, offset: number, kv: PrefixKv): Promise<void> {
    return this.#exclusively(async () => {
      this.#checkSlot(slot);
      const width = rowWidth(selfSite(this.parts.shape));
      const rows = selfRows(kv);
      if (rows.length !== kv.length * width) {
        throw new RangeError(`a prefix of ${kv.length} rows needs ${kv.length * width} values, not ${rows.length}`);
      }
      this.#checkRange(offset, kv.length);
      const memory = this.parts.runtime.allocate(rows.byteLength);
      const prefix = new Tensor(this.parts.runtime, 'float32', [kv.length, width], memory);
      try {
        memory.float32(0, rows.length).set(rows);
        await this.parts.arena.prepare({ rows: 0, single: { slot, past: offset } });
        this.#bindRows(this.#bindings.append, slot, [offset + kv.length]);
        this.#bindings.append.input('prefix', prefix);
        await this.parts.sessions.append.run(this.#bindings.append);
      } finally {
        this.parts.buffers.releaseTensors();
        prefix.dispose();
        memory.dispose();
      }
    });
  }

  copySlot(from: number, to: number, length: number): Promise<void> {
    return this.#exclusively(async () => {
      this.#checkSlot(from);
      this.#checkSlot(to);
      this.#checkRange(0, length);
      await this.parts.arena.copy(from, to, length);
    });
  }

  readSlot(slot: number, from: number, length: number): Promise<KvSpan> {
    return this.#exclusively(async () => {
      this.#checkSlot(slot);
      this.#checkRange(from, length);
      return this.parts.arena.read(slot, from, length);
    });
  }

  writeSlot(slot: number, from: number, span: KvSpan): Promise<void> {
    return this.#exclusively(async () => {
      this.#checkSlot(slot);
      this.#checkRange(from, span.length);
      if (!(span instanceof ArenaSpan)) throw new TypeError('the span is of another runner');
      await this.parts.arena.write(slot, from, span);
    });
  }

  /** Releases the arena and the buffers. Call it when no step is running. */
  dispose(): void {
    if (this.#busy) throw new Error('a runner cannot be disposed during a call');
    for (const binding of Object.values(this.#bindings)) binding.dispose();
    this.parts.buffers.dispose();
    this.parts.arena.dispose();
  }

  #releaseEmbeddings({ decode, chunk }: StepInput): void {
    this.#tokensRead += decode.length + (chunk?.tokens.length ?? 0);
    if (this.#tokensRead < TOKENS_PER_RELEASE) return;
    this.#tokensRead = 0;
    this.parts.weights.releasePages();
  }

  /** Writes ids, positions and the tokens whose logits are wanted; returns how many rows of logits that makes. */
  #writeTokens({ decode, chunk }: StepInput): number {
    const { ids, positions, keep, temperature } = this.parts.buffers;
    let token = 0;
    let rows = 0;
    const write = (id: number, position: number, wanted: boolean, rowTemperature: number): void => {
      ids[token] = BigInt(id);
      positions[token] = BigInt(position);
      if (wanted) {
        keep[rows] = BigInt(token);
        temperature[rows++] = rowTemperature;
      }
      token++;
    };
    for (const row of decode) write(row.token, row.past, true, row.temperature);
    chunk?.tokens.forEach((id, index) => {
      const wanted = chunk.logits === 'all' || (chunk.logits === 'last' && index === chunk.tokens.length - 1);
      write(id, chunk.past + index, wanted, chunk.temperature);
    });
    if (rows === 0) {
      keep[0] = 0n;
      temperature[0] = 1;
    }
    return rows;
  }

  #bindUniform({ decode, chunk }: StepInput): void {
    const binding = this.#bindings.uniform;
    const [rows, tokens] = chunk === undefined ? [decode.length, 1] : [1, chunk.tokens.length];
    this.parts.buffers.layout.set([BigInt(rows), BigInt(tokens), -1n]);
    this.#bindTokens(binding, rows * tokens);
    this.parts.buffers.input(binding, 'shape', 'int64', [3], 'layout');
    const lengths = chunk === undefined ? decode.map(({ past }) => past + 1) : [chunk.past + tokens];
    this.#bindRows(binding, chunk?.slot ?? 0, lengths);
  }

  #bindMixed(rows: number, chunk: PromptChunk): void {
    const binding = this.#bindings.mixed;
    const { layout, positions, chunkLengths, chunkLongest } = this.parts.buffers;
    layout.set([BigInt(rows), BigInt(chunk.tokens.length)]);
    this.#bindTokens(binding, rows + chunk.tokens.length);
    this.parts.buffers.input(binding, 'split', 'int64', [2], 'layout');
    const lengths = Array.from({ length: rows }, (_, row) => Number(positions[row]) + 1);
    this.#bindRows(binding, 0, lengths);
    chunkLongest[0] = chunk.past + chunk.tokens.length;
    chunkLengths[0] = chunkLongest[0] - 1;
    this.parts.buffers.input(binding, 'chunk_lengths', 'int32', [1]);
    this.parts.buffers.input(binding, 'chunk_longest', 'int32', [1]);
    this.parts.arena.bind(binding, 'chunk', chunk.slot, 1);
  }

  #bindTokens(binding: Binding, tokens: number): void {
    this.parts.buffers.input(binding, 'ids', 'int64', [tokens]);
    this.parts.buffers.input(binding, 'positions', 'int64', [tokens]);
  }

  /** Binds consecutive slots as the group `rows`; `lengths` are theirs after the run. */
  #bindRows(binding: Binding, firstSlot: number, lengths: readonly number[]): void {
    const { rowsLengths, rowsLongest } = this.parts.buffers;
    lengths.forEach((length, row) => (rowsLengths[row] = length - 1));
    rowsLongest[0] = Math.max(...lengths);
    this.parts.buffers.input(binding, 'rows_lengths', 'int32', [lengths.length]);
    this.parts.buffers.input(binding, 'rows_longest', 'int32', [1]);
    this.parts.arena.bind(binding, 'rows', firstSlot, lengths.length);
  }

  /** Native code takes everything at its word: a wrong id or position there is a crash. */
  #check({ decode, chunk, topK }: StepInput): void {
    if (decode.length === 0 && chunk === undefined) throw new RangeError('a step needs a row or a chunk');
    if (decode.length > this.slots) throw new RangeError(`${decode.length} rows do not fit ${this.slots} slots`);
    if (!(topK >= 1 && topK <= this.vocabularySize)) throw new RangeError(`topK ${topK} is not 1 to the vocabulary`);
    for (const row of decode) {
      this.#checkToken(row.token);
      this.#checkRange(row.past, 1);
    }
    if (chunk === undefined) return;
    this.#checkSlot(chunk.slot);
    if (chunk.slot < decode.length) throw new RangeError(`slot ${chunk.slot} is a decoding row's`);
    if (chunk.tokens.length === 0) throw new RangeError('a chunk needs a token');
    if (chunk.tokens.length > this.maxChunkTokens) throw new RangeError(`a chunk of ${chunk.tokens.length} tokens`);
    chunk.tokens.forEach((token) => {
      this.#checkToken(token);
    });
    this.#checkRange(chunk.past, chunk.tokens.length);
  }

  #checkToken(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabularySize) throw new RangeError(`token id ${id}`);
  }

  #checkSlot(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) throw new RangeError(`slot ${slot}`);
  }

  #checkRange(past: number, tokens: number): void {
    if (!Number.isInteger(past) || past < 0 || tokens < 0 || past + tokens > this.contextLength) {
      throw new RangeError(`positions ${past} to ${past + tokens} do not fit a context of ${this.contextLength}`);
    }
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
