import type { StepOutput } from '../engine/runner.js';
import type { Memory } from '../runtime/ort/memory.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import type { Binding } from '../runtime/ort/session.js';
import { ELEMENT_TYPES, type ElementType, Tensor } from '../runtime/ort/tensor.js';
import type { GraphTarget } from './architecture.js';
import type { Logits } from './backend/logits.js';

/** Sizes that the buffers are made for. */
export interface StepSizes {
  readonly slots: number;
  /** Most tokens of each row before the last. */
  readonly maxRowTokens: number;
  /** Most tokens of a step. */
  readonly maxTokens: number;
  readonly vocabularySize: number;
  /** Whether there are as many source slots, which tokens attend to. */
  readonly hasSources: boolean;
  /** Kind of machine that the graphs are written for: it decides the type of their `top_ids`. */
  readonly target: GraphTarget;
}

/** Inputs and outputs of a step, beside the KV arena: native memory that every step uses again. */
export class StepBuffers {
  readonly ids: BigInt64Array;
  readonly positions: BigInt64Array;
  readonly keep: BigInt64Array;
  readonly temperature: Float32Array;
  /** `shape` of a uniform step, `split` of a mixed one. */
  readonly layout: BigInt64Array;
  readonly k: BigInt64Array;
  /** `[nodes, rows]` each row's length after a node, minus 1. */
  readonly rowsLengths: Int32Array;
  /** `[nodes]` the longest row after a node. */
  readonly rowsLongest: Int32Array;
  /** `[nodes, rows]` token of each row that a node computes, as an index into the step's. */
  readonly rowsTokens: BigInt64Array;
  /** `[tokens of the rows]` place of each token in `rowsTokens`. */
  readonly order: BigInt64Array;
  readonly chunkLengths: Int32Array;
  readonly chunkLongest: Int32Array;
  /** `[source slots, queries]` tokens that attend to each source slot. */
  readonly grid: BigInt64Array;
  /** `[tokens]` place of each token in `grid`. */
  readonly ungrid: BigInt64Array;
  /** `[source slots]` length of each, minus 1. */
  readonly crossLengths: Int32Array;
  readonly crossLongest: Int32Array;
  readonly #topLogits: Float32Array;
  readonly #topIds: Int32Array | BigInt64Array;
  readonly #lse: Float32Array;
  readonly #temperedLse: Float32Array;
  readonly #memory = new Map<string, Memory>();
  /** Tensors of the step being prepared or run. */
  #tensors: Tensor[] = [];

  constructor(
    private readonly runtime: Runtime,
    { slots, maxRowTokens, maxTokens, vocabularySize, hasSources, target }: StepSizes,
    /** Owned: disposed with the buffers. */
    private readonly logits: Logits,
  ) {
    this.ids = this.#allocate('ids', maxTokens * 8).int64(0, maxTokens);
    this.positions = this.#allocate('positions', maxTokens * 8).int64(0, maxTokens);
    this.keep = this.#allocate('keep', maxTokens * 8).int64(0, maxTokens);
    this.temperature = this.#allocate('temperature', maxTokens * 4).float32(0, maxTokens);
    this.layout = this.#allocate('layout', 3 * 8).int64(0, 3);
    this.k = this.#allocate('k', 8).int64(0, 1);
    const rowsTokens = slots * maxRowTokens;
    this.rowsLengths = this.#allocate('rows_lengths', rowsTokens * 4).int32(0, rowsTokens);
    this.rowsLongest = this.#allocate('rows_longest', maxRowTokens * 4).int32(0, maxRowTokens);
    this.rowsTokens = this.#allocate('rows_tokens', rowsTokens * 8).int64(0, rowsTokens);
    this.order = this.#allocate('order', rowsTokens * 8).int64(0, rowsTokens);
    this.chunkLengths = this.#allocate('chunk_lengths', 4).int32(0, 1);
    this.chunkLongest = this.#allocate('chunk_longest', 4).int32(0, 1);
    const cells = hasSources ? slots * maxTokens : 1;
    this.grid = this.#allocate('grid', cells * 8).int64(0, cells);
    this.ungrid = this.#allocate('ungrid', maxTokens * 8).int64(0, maxTokens);
    this.crossLengths = this.#allocate('cross_lengths', slots * 4).int32(0, slots);
    this.crossLongest = this.#allocate('cross_longest', 4).int32(0, 1);
    // Rows are touched, and so committed, only as far as a step asks for them.
    const all = maxTokens * vocabularySize;
    this.#topLogits = this.#allocate('top_logits', all * 4).float32(0, all);
    this.#topIds =
      target === 'cpu'
        ? this.#allocate('top_ids', all * 4).int32(0, all)
        : this.#allocate('top_ids', all * 8).int64(0, all);
    this.#lse = this.#allocate('lse', maxTokens * 4).float32(0, maxTokens);
    this.#temperedLse = this.#allocate('tempered_lse', maxTokens * 4).float32(0, maxTokens);
  }

  /** Binds an input of the graph to elements of a buffer, from index `first` on. */
  input(binding: Binding, name: string, type: ElementType, shape: readonly number[], buffer = name, first = 0): void {
    binding.input(name, this.#tensor(type, shape, buffer, first));
  }

  /** Binds the head's inputs and outputs for `rows` rows of logits and their `best` best. */
  bindHead(binding: Binding, rows: number, best: number): void {
    this.k[0] = BigInt(best);
    this.input(binding, 'keep', 'int64', [rows]);
    this.input(binding, 'k', 'int64', [1]);
    this.input(binding, 'temperature', 'float32', [rows, 1]);
    this.logits.bind(binding, rows);
    binding.output('top_logits', this.#tensor('float32', [rows, best], 'top_logits'));
    binding.output(
      'top_ids',
      this.#tensor(this.#topIds instanceof Int32Array ? 'int32' : 'int64', [rows, best], 'top_ids'),
    );
    binding.output('lse', this.#tensor('float32', [rows, 1], 'lse'));
    binding.output('tempered_lse', this.#tensor('float32', [rows, 1], 'tempered_lse'));
  }

  /** Outputs of the step that ran; views that the next one overwrites. */
  output(rows: number, best: number): StepOutput {
    return {
      rows,
      topIds: toInt32(this.#topIds.subarray(0, rows * best)),
      topLogits: this.#topLogits.subarray(0, rows * best),
      lse: this.#lse.subarray(0, rows),
      temperedLse: this.#temperedLse.subarray(0, rows),
      logits: (row) => this.logits.row(row),
    };
  }

  /** Releases the tensors of the last step; the memory stays. */
  releaseTensors(): void {
    for (const tensor of this.#tensors) tensor.dispose();
    this.#tensors = [];
  }

  dispose(): void {
    this.releaseTensors();
    this.logits.dispose();
    for (const memory of this.#memory.values()) memory.dispose();
  }

  #allocate(name: string, bytes: number): Memory {
    const memory = this.runtime.allocate(bytes);
    this.#memory.set(name, memory);
    return memory;
  }

  #tensor(type: ElementType, shape: readonly number[], buffer: string, first = 0): Tensor {
    const memory = this.#memory.get(buffer);
    if (memory === undefined) throw new Error(`no buffer ${buffer}`);
    const tensor = new Tensor(this.runtime, type, shape, memory, first * ELEMENT_TYPES[type].bytes);
    this.#tensors.push(tensor);
    return tensor;
  }
}

function toInt32(ids: Int32Array | BigInt64Array): Int32Array {
  return ids instanceof Int32Array ? ids : Int32Array.from(ids, Number);
}
