import koffi from 'koffi';

import type { Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';

/** Memory that can hold a tensor. */
export interface TensorMemory {
  readonly bytes: number;
  /** Native description of the device; CPU unless given. */
  readonly info?: Pointer;
  /** Address of byte `offset`. Throws RangeError unless the `bytes` bytes from there lie inside the memory. */
  address(offset: number, bytes: number): Pointer;
}

/** A block of native CPU memory with one owner. Dispose it after the tensors that use it. */
export class Memory implements TensorMemory {
  readonly #pointer: Pointer;
  readonly #guard = new DisposeGuard('Memory');

  constructor(
    pointer: Pointer,
    readonly bytes: number,
    private readonly free: () => void,
  ) {
    this.#pointer = pointer;
  }

  address(offset: number, bytes: number): Pointer {
    this.#check(offset, bytes);
    return this.#pointer + BigInt(offset);
  }

  /** A view of `length` bytes from byte `offset`, valid until the memory is disposed. */
  bytesAt(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer(offset, length));
  }

  /** A view of `length` floats from byte `offset`, valid until the memory is disposed. */
  float32(offset: number, length: number): Float32Array {
    return new Float32Array(this.#buffer(offset, length * 4));
  }

  /** A view of `length` 32-bit integers from byte `offset`, valid until the memory is disposed. */
  int32(offset: number, length: number): Int32Array {
    return new Int32Array(this.#buffer(offset, length * 4));
  }

  /** A view of `length` 64-bit integers from byte `offset`, valid until the memory is disposed. */
  int64(offset: number, length: number): BigInt64Array {
    return new BigInt64Array(this.#buffer(offset, length * 8));
  }

  dispose(): void {
    if (this.#guard.dispose()) this.free();
  }

  #buffer(offset: number, bytes: number): ArrayBuffer {
    this.#check(offset, bytes);
    return koffi.view(this.#pointer + BigInt(offset), bytes);
  }

  #check(offset: number, bytes: number): void {
    this.#guard.check();
    checkRange(offset, bytes, this.bytes);
  }
}

/** Throws RangeError unless the `bytes` bytes from byte `offset` lie inside a block of `size` bytes. */
export function checkRange(offset: number, bytes: number, size: number): void {
  if (offset < 0 || bytes < 0 || offset + bytes > size) {
    throw new RangeError(`bytes ${offset} to ${offset + bytes} are outside of ${size} bytes of memory`);
  }
}
