import type { Memory } from './memory.js';
import type { Runtime } from './runtime.js';
import { ELEMENT_TYPES, elementCount, type ElementType, Tensor } from './tensor.js';

/** Short-lived tensors, for one run or a few, each with memory of its own. Disposed together. */
export class ScratchTensors {
  readonly #owned: { tensor: Tensor; memory: Memory }[] = [];

  constructor(private readonly runtime: Runtime) {}

  /** A tensor over new memory. Its content is undefined unless `fill` writes it. */
  make(type: ElementType, shape: readonly number[], fill?: (memory: Memory) => void): Tensor {
    const memory = this.runtime.allocate(Math.max(1, elementCount(shape) * ELEMENT_TYPES[type].bytes)); // the allocator has no address for no bytes
    const tensor = new Tensor(this.runtime, type, shape, memory);
    this.#owned.push({ tensor, memory });
    fill?.(memory);
    return tensor;
  }

  dispose(): void {
    for (const { tensor, memory } of this.#owned) {
      tensor.dispose();
      memory.dispose();
    }
  }
}
