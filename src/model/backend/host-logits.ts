import type { Memory } from '../../runtime/ort/memory.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import type { Binding } from '../../runtime/ort/session.js';
import { Tensor } from '../../runtime/ort/tensor.js';
import type { Logits } from './logits.js';

/** Logits in the CPU's memory. Rows are touched, and so committed, only as far as a step asks for them. */
export class HostLogits implements Logits {
  readonly #memory: Memory;
  readonly #values: Float32Array;
  #bound: Tensor | undefined;

  constructor(
    private readonly runtime: Runtime,
    maxRows: number,
    private readonly vocabularySize: number,
  ) {
    this.#memory = runtime.allocate(maxRows * vocabularySize * 4);
    this.#values = this.#memory.float32(0, maxRows * vocabularySize);
  }

  bind(binding: Binding, rows: number): void {
    this.#bound?.dispose();
    this.#bound = new Tensor(this.runtime, 'float32', [rows, this.vocabularySize], this.#memory);
    binding.output('logits', this.#bound);
  }

  row(index: number): Float32Array {
    return this.#values.subarray(index * this.vocabularySize, (index + 1) * this.vocabularySize);
  }

  dispose(): void {
    this.#bound?.dispose();
    this.#memory.dispose();
  }
}
