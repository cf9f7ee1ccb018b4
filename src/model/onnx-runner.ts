import type { KvCopy, ModelRunner, Span, StepInput, StepOutput } from '../engine/runner.js';
import { type ModelShape, type PrefixKv, rowWidth, selfRows, selfSite } from '../prefix/kv.js';
import type { MappedFile } from '../runtime/libc/mapped-file.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import type { Binding, Session } from '../runtime/ort/session.js';
import { Tensor } from '../runtime/ort/tensor.js';
import { nodeName } from './graph-names.js';
import { type KvArena, ArenaCopy } from './backend/arena/kv-arena.js';
import type { StepBuffers } from './step-buffers.js';
import { layOutStep, type StepLayout } from './step-layout.js';

/** Sessions that a runner drives and does not own. */
export interface RunnerSessions {
  readonly uniform: Session;
  readonly mixed: Session;
  readonly append: Session;
}

/** Parts of a runner, which owns the arena and the buffers, and borrows the rest. */
export interface RunnerParts {
  readonly runtime: Runtime;
  readonly shape: ModelShape;
  readonly sessions: RunnerSessions;
  /** Opens a session of `Architecture.writeSpansGraph`, which the runner owns; rows before the last have one token where there is none. */
  readonly openSpans?: ((nodes: number, hasChunk: boolean) => Promise<Session>) | undefined;
  /** The file of the sessions' weights. */
  readonly weights: Pick<MappedFile, 'releasePages'>;
  readonly slots: number;
  /** Has `slots` slots. */
  readonly arena: KvArena;
  /** Made for `slots` and `MAX_ROW_TOKENS`. */
  readonly buffers: StepBuffers;
  /** The context unless given. */
  readonly maxChunkTokens?: number | undefined;
}

/** Most tokens of a row before the last: a graph is opened for each number that occurs, and its nodes are as many a layer. */
export const MAX_ROW_TOKENS = 16;

/**
 * Tokens after which the pages of embeddings that were read are given back. Where a row is read, Linux maps 64 KiB of the file and up
 * to 1 MiB: some hundred tokens would keep all of them resident, beside the packed copy that the head has.
 */
const TOKENS_PER_RELEASE = 32;

/** A session and the binding of its inputs and outputs. */
interface OpenGraph {
  readonly session: Session;
  readonly binding: Binding;
}

/** Runs the engine's steps on ONNX Runtime. One call at a time; everything it is given is checked before it is lent. */
export class OnnxRunner implements ModelRunner {
  readonly slots: number;
  readonly maxChunkTokens: number;
  readonly maxRowTokens: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly #graphs: Record<keyof RunnerSessions, OpenGraph>;
  /** Graphs for rows of several tokens, by their number of nodes and whether there is a chunk. */
  readonly #chains = new Map<string, OpenGraph>();
  #busy = false;
  #tokensRead = 0;

  constructor(private readonly parts: RunnerParts) {
    const { shape, sessions, slots, maxChunkTokens = shape.contextLength } = parts;
    this.slots = slots;
    this.maxChunkTokens = maxChunkTokens;
    this.maxRowTokens = parts.openSpans === undefined ? 1 : MAX_ROW_TOKENS;
    this.contextLength = shape.contextLength;
    this.vocabularySize = shape.vocabularySize;
    this.#graphs = { uniform: bind(sessions.uniform), mixed: bind(sessions.mixed), append: bind(sessions.append) };
  }

  step(input: StepInput): Promise<StepOutput> {
    return this.#exclusively(async () => {
      this.#check(input);
      const layout = layOutStep(input.rows);
      const { rows, chunk } = layout;
      const { session, binding } = await this.#open(layout);
      const { tokens, kept } = this.#writeTokens(input);
      await this.parts.arena.prepare({ rows: rows.length, ...(chunk && { single: chunk }) });
      this.#bindTokens(binding, layout, tokens);
      // A step always computes at least one row of logits: an operator over no rows is no operator.
      this.parts.buffers.bindHead(binding, Math.max(kept, 1), input.topK);
      await session.run(binding);
      this.parts.buffers.releaseTensors();
      this.#releaseEmbeddings(tokens);
      return this.parts.buffers.output(kept, input.topK);
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
        const { session, binding } = this.#graphs.append;
        this.#bindRows(binding, slot, [offset + kv.length]);
        binding.input('prefix', prefix);
        await session.run(binding);
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

  readSlot(slot: number, from: number, length: number): Promise<KvCopy> {
    return this.#exclusively(async () => {
      this.#checkSlot(slot);
      this.#checkRange(from, length);
      return this.parts.arena.read(slot, from, length);
    });
  }

  writeSlot(slot: number, from: number, copy: KvCopy): Promise<void> {
    return this.#exclusively(async () => {
      this.#checkSlot(slot);
      this.#checkRange(from, copy.length);
      if (!(copy instanceof ArenaCopy)) throw new TypeError('the copy is of another runner');
      await this.parts.arena.write(slot, from, copy);
    });
  }

  /** Releases everything of its own. Call it when no step is running. */
  async dispose(): Promise<void> {
    if (this.#busy) throw new Error('a runner cannot be disposed during a call');
    const chains = [...this.#chains.values()];
    for (const { binding } of [...Object.values(this.#graphs), ...chains]) binding.dispose();
    for (const { session } of chains) await session.dispose();
    this.parts.buffers.dispose();
    this.parts.arena.dispose();
  }

  /** The graph of a step; those with several nodes are opened when they are first needed. */
  async #open({ rows, chunk, nodes }: StepLayout): Promise<OpenGraph> {
    if (nodes === 1) return rows.length > 0 && chunk ? this.#graphs.mixed : this.#graphs.uniform;
    const key = `${nodes} ${chunk !== undefined}`;
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    if (this.parts.openSpans === undefined) throw new RangeError(`rows of ${nodes} tokens`);
    const opened = bind(await this.parts.openSpans(nodes, chunk !== undefined));
    this.parts.weights.releasePages(); // the packed copies of the other graphs are what runs
    this.#chains.set(key, opened);
    return opened;
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

  #bindTokens(binding: Binding, { rows, chunk, nodes }: StepLayout, tokens: number): void {
    this.parts.buffers.input(binding, 'ids', 'int64', [tokens]);
    this.parts.buffers.input(binding, 'positions', 'int64', [tokens]);
    if (nodes > 1) this.#bindChain(binding, rows, nodes);
    else if (chunk === undefined || rows.length > 0) this.#bindRows(binding, 0, rows.map(lengthAfter));
    else this.#bindRows(binding, chunk.slot, [lengthAfter(chunk)]);
    if (rows.length > 0 && chunk !== undefined) this.#bindChunk(binding, tokens - chunk.tokens.length, chunk);
    else if (nodes === 1) this.#bindShape(binding, Math.max(rows.length, 1), tokens);
  }

  #bindShape(binding: Binding, rows: number, tokens: number): void {
    this.parts.buffers.layout.set([BigInt(rows), BigInt(tokens / rows), -1n]);
    this.parts.buffers.input(binding, 'shape', 'int64', [3], 'layout');
  }

  /** Binds a chunk behind `rowTokens` tokens of rows. */
  #bindChunk(binding: Binding, rowTokens: number, chunk: Span): void {
    const { layout, chunkLengths, chunkLongest } = this.parts.buffers;
    layout.set([BigInt(rowTokens), BigInt(chunk.tokens.length)]);
    this.parts.buffers.input(binding, 'split', 'int64', [2], 'layout');
    chunkLongest[0] = lengthAfter(chunk);
    chunkLengths[0] = chunkLongest[0] - 1;
    this.parts.buffers.input(binding, 'chunk_lengths', 'int32', [1]);
    this.parts.buffers.input(binding, 'chunk_longest', 'int32', [1]);
    this.parts.arena.bind(binding, 'chunk', chunk.slot, 1, 1);
  }

  /** Binds consecutive slots as the group `rows`; `lengths` are theirs after the run. */
  #bindRows(binding: Binding, firstSlot: number, lengths: readonly number[]): void {
    const { rowsLengths, rowsLongest } = this.parts.buffers;
    lengths.forEach((length, row) => (rowsLengths[row] = length - 1));
    rowsLongest[0] = Math.max(...lengths);
    this.parts.buffers.input(binding, 'rows_lengths', 'int32', [lengths.length]);
    this.parts.buffers.input(binding, 'rows_longest', 'int32', [1]);
    this.parts.arena.bind(binding, 'rows', firstSlot, lengths.length, 1);
  }

  /** Binds rows of up to `nodes` tokens, from slot 0 on. Node i computes each row's token i, counted so that all rows end together. */
  #bindChain(binding: Binding, rows: readonly Span[], nodes: number): void {
    const { rowsLengths, rowsLongest, rowsTokens, order } = this.parts.buffers;
    rowsLongest.fill(0);
    let first = 0;
    rows.forEach(({ past, tokens }, row) => {
      for (let node = 0; node < nodes; node++) {
        const index = Math.max(0, node - (nodes - tokens.length));
        const place = node * rows.length + row;
        rowsTokens[place] = BigInt(first + index);
        order[first + index] = BigInt(place); // of a token that is repeated, the last
        rowsLengths[place] = past + index;
        rowsLongest[node] = Math.max(rowsLongest[node] as number, past + index + 1);
      }
      first += tokens.length;
    });
    const { buffers, arena } = this.parts;
    for (let node = 0; node < nodes; node++) {
      const name = nodeName('rows', node);
      buffers.input(binding, `${name}_tokens`, 'int64', [rows.length, 1], 'rows_tokens', node * rows.length);
      buffers.input(binding, `${name}_lengths`, 'int32', [rows.length], 'rows_lengths', node * rows.length);
      buffers.input(binding, `${name}_longest`, 'int32', [1], 'rows_longest', node);
    }
    buffers.input(binding, 'order', 'int64', [first]);
    arena.bind(binding, 'rows', 0, rows.length, nodes);
  }

  /** Native code takes everything at its word: a wrong id or position there is a crash. */
  #check({ rows, topK }: StepInput): void {
    if (rows.length === 0) throw new RangeError('a step needs a row');
    if (!(topK >= 1 && topK <= this.vocabularySize)) throw new RangeError(`topK ${topK} is not 1 to the vocabulary`);
    let tokens = 0;
    rows.forEach((span, row) => {
      this.#checkSpan(span, row, row === rows.length - 1);
      tokens += span.tokens.length;
    });
    if (tokens > maxTokensOf(this)) throw new RangeError(`a step of ${tokens} tokens: ${maxTokensOf(this)} fit`);
  }

  #checkSpan(span: Span, row: number, isLast: boolean): void {
    const { slot, tokens, past } = span;
    this.#checkSlot(slot);
    if (isLast ? slot < row : slot !== row) throw new RangeError(`row ${row} is in slot ${slot}`);
    const limit = isLast ? this.maxChunkTokens : this.maxRowTokens;
    if (tokens.length === 0 || tokens.length > limit) {
      throw new RangeError(`row ${row} has ${tokens.length} tokens: 1 to ${limit} are possible`);
    }
    for (const token of tokens) this.#checkToken(token);
    this.#checkRange(past, tokens.length);
    const position = positionOf(span);
    if (!Number.isInteger(position) || position < 0 || position > past) throw new RangeError(`position ${position}`);
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

/** Most tokens of a step. */
export function maxTokensOf({ slots, contextLength }: Pick<ModelRunner, 'slots' | 'contextLength'>): number {
  return slots + contextLength;
}

function bind(session: Session): OpenGraph {
  return { session, binding: session.bind() };
}

/** Position that a span's first token is embedded with. */
function positionOf({ past, position = past }: Span): number {
  return position;
}

/** Positions in a span's slot after the step. */
function lengthAfter({ past, tokens }: Span): number {
  return past + tokens.length;
}
