import type { Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import type { Memory, TensorMemory } from './memory.js';
import type { Runtime } from './runtime.js';

/** Element types in use: value of `ONNXTensorElementDataType`, and size in bytes. */
export const ELEMENT_TYPES = {
  float32: { onnx: 1, bytes: 4 },
  uint8: { onnx: 2, bytes: 1 },
  int8: { onnx: 3, bytes: 1 },
  int32: { onnx: 6, bytes: 4 },
  int64: { onnx: 7, bytes: 8 },
  float16: { onnx: 10, bytes: 2 },
} as const;

/** An element type in use. */
export type ElementType = keyof typeof ELEMENT_TYPES;

/**
 * A tensor over borrowed memory, without a copy. Keeps the memory object referenced; the memory must be disposed
 * after the tensor.
 */
export class Tensor<M extends TensorMemory = Memory> {
  readonly #handle: Pointer;
  readonly #guard = new DisposeGuard('Tensor');

  /**
   * @param offset first byte in `memory`; 0 unless given
   * @throws RangeError for a negative or fractional dimension, and for a range outside the memory
   */
  constructor(
    private readonly runtime: Runtime,
    readonly type: ElementType,
    readonly shape: readonly number[],
    readonly memory: M,
    offset = 0,
  ) {
    const element = ELEMENT_TYPES[type];
    const bytes = elementCount(shape) * element.bytes;
    const address = memory.address(offset, bytes);
    const dims = BigInt64Array.from(shape, BigInt);
    this.#handle = runtime.api.create(
      'CreateTensorWithDataAsOrtValue',
      memory.info ?? runtime.cpuMemoryInfo,
      address,
      bytes,
      dims,
      shape.length,
      element.onnx,
    );
  }

  /** Native handle. Throws if the tensor was disposed. */
  get handle(): Pointer {
    this.#guard.check();
    return this.#handle;
  }

  dispose(): void {
    if (this.#guard.dispose()) this.runtime.api.release('ReleaseValue', this.#handle);
  }
}

/** A tensor in memory of any device. */
export type AnyTensor = Tensor<TensorMemory>;

/**
 * Number of elements of a shape; 1 for a scalar. Throws RangeError unless every dimension is a non-negative integer.
 */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) throw new RangeError(`dimension ${dim} of [${shape.join(', ')}]`);
    count *= dim;
  }
  return count;
}
