import type { AttentionSite } from '../prefix/kv.js';
import type { Memory } from '../runtime/ort/memory.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import type { Binding } from '../runtime/ort/session.js';
import { Tensor } from '../runtime/ort/tensor.js';

/** What an encoder's layer reads of a source. */
interface LayerState {
  /** `[tokens, width]` the residual stream. */
  readonly hidden: Memory;
  /** `[virtual tokens + tokens, width]`, as are the values. */
  readonly keys: Memory;
  readonly values: Memory;
}

/**
 * States of one source between the stages of its encoding: stage s writes what layer s reads, and reads what the stage before it wrote.
 * There is memory for two states, and in front of each layer's keys and values are those of its virtual tokens.
 */
export class LayerStates {
  readonly #states: readonly [LayerState, LayerState];
  readonly #width: number;
  readonly #numVirtual: number;
  /** Tensors of the piece that is computed. */
  #tensors: Tensor[] = [];

  /**
   * @param site the encoder's self-attention
   * @param prefix `[virtual tokens, rowWidth(site)]`; none unless given
   */
  constructor(
    private readonly runtime: Runtime,
    site: AttentionSite,
    private readonly numTokens: number,
    private readonly prefix: Float32Array = new Float32Array(),
  ) {
    this.#width = site.kvHeads * site.headDim;
    this.#numVirtual = prefix.length / (2 * site.layers * this.#width);
    this.#states = [this.#allocate(), this.#allocate()];
  }

  /** Binds what a stage reads: some rows' residual stream, all rows' keys and values. */
  bindInputs(binding: Binding, stage: number, first: number, rows: number): void {
    const { hidden, keys, values } = this.#writtenBy(stage - 1);
    const all = [1, this.#numVirtual + this.numTokens, this.#width];
    binding.input('hidden', this.#view(hidden, first, [rows, this.#width]));
    binding.input('keys', this.#view(keys, 0, all));
    binding.input('values', this.#view(values, 0, all));
  }

  /** Binds what a stage writes: some rows of the next layer's residual stream, keys and values. */
  bindOutputs(binding: Binding, stage: number, first: number, rows: number): void {
    const { hidden, keys, values } = this.#writtenBy(stage);
    if (first === 0) [keys, values].forEach((memory, which) => this.#writeVirtual(memory, 2 * stage + which));
    const shape = [rows, this.#width];
    binding.output('next_hidden', this.#view(hidden, first, shape));
    binding.output('next_keys', this.#view(keys, this.#numVirtual + first, shape));
    binding.output('next_values', this.#view(values, this.#numVirtual + first, shape));
  }

  /** Releases the tensors of the last piece; the memory stays. */
  releaseTensors(): void {
    for (const tensor of this.#tensors) tensor.dispose();
    this.#tensors = [];
  }

  dispose(): void {
    this.releaseTensors();
    for (const state of this.#states) for (const memory of Object.values(state) as Memory[]) memory.dispose();
  }

  #writtenBy(stage: number): LayerState {
    return this.#states[stage % 2] as LayerState;
  }

  /** Copies a column block of the prefix to the front. */
  #writeVirtual(memory: Memory, block: number): void {
    const width = this.#width;
    const target = memory.float32(0, this.#numVirtual * width);
    const rowLength = this.prefix.length / this.#numVirtual;
    for (let row = 0; row < this.#numVirtual; row++) {
      const start = row * rowLength + block * width;
      target.set(this.prefix.subarray(start, start + width), row * width);
    }
  }

  #view(memory: Memory, firstRow: number, shape: readonly number[]): Tensor {
    const tensor = new Tensor(this.runtime, 'float32', shape, memory, firstRow * this.#width * 4);
    this.#tensors.push(tensor);
    return tensor;
  }

  #allocate(): LayerState {
    const allocate = (rows: number): Memory => this.runtime.allocate(rows * this.#width * 4);
    const attended = this.#numVirtual + this.numTokens;
    return { hidden: allocate(this.numTokens), keys: allocate(attended), values: allocate(attended) };
  }
}
