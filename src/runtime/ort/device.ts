import type { Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import { checkRange, type TensorMemory } from './memory.js';
import { type Provider, providerMemoryInfo } from './provider.js';
import type { Runtime } from './runtime.js';
import type { Session } from './session.js';

/** Properties of a device's memory. */
export interface DeviceOptions {
  /** Whether each byte of a block has an address. A WebGPU block has only a handle as a whole. */
  readonly hasAddresses?: boolean;
}

/**
 * Allocates memory on a provider's device. Dispose it after that memory and before the session that lent its
 * allocator.
 */
export class Device {
  readonly hasAddresses: boolean;
  readonly #info: Pointer;
  readonly #allocator: Pointer;
  readonly #guard = new DisposeGuard('Device');

  /** @param session any session on the provider; lends its allocator */
  constructor(
    private readonly runtime: Runtime,
    session: Session,
    readonly provider: Provider,
    { hasAddresses = provider !== 'webgpu' }: DeviceOptions = {},
  ) {
    this.hasAddresses = hasAddresses;
    this.#info = providerMemoryInfo(runtime, provider);
    this.#allocator = session.createAllocator(this.#info);
  }

  /** Allocates memory with undefined content. Throws `OnnxRuntimeError` when the device has not enough. */
  allocate(bytes: number): DeviceMemory {
    this.#guard.check();
    const pointer = this.runtime.api.create('AllocatorAlloc', this.#allocator, bytes);
    return new DeviceMemory(pointer, bytes, this.#info, this.hasAddresses, () => {
      this.runtime.api.call('AllocatorFree', this.#allocator, pointer);
    });
  }

  dispose(): void {
    if (!this.#guard.dispose()) return;
    this.runtime.api.release('ReleaseAllocator', this.#allocator);
    this.runtime.api.release('ReleaseMemoryInfo', this.#info);
  }
}

/** A block of device memory with one owner, readable only by graphs. Dispose it after the tensors that use it. */
export class DeviceMemory implements TensorMemory {
  readonly #pointer: Pointer;
  readonly #guard = new DisposeGuard('DeviceMemory');

  constructor(
    pointer: Pointer,
    readonly bytes: number,
    readonly info: Pointer,
    private readonly hasAddresses: boolean,
    private readonly free: () => void,
  ) {
    this.#pointer = pointer;
  }

  /**
   * Address of byte `offset`. Throws RangeError for a range outside the block, and for an offset above 0 in a block
   * with only a handle.
   */
  address(offset: number, bytes: number): Pointer {
    this.#guard.check();
    checkRange(offset, bytes, this.bytes);
    if (offset > 0 && !this.hasAddresses) throw new RangeError(`this memory is a handle: there is no byte ${offset}`);
    return this.#pointer + BigInt(offset);
  }

  dispose(): void {
    if (this.#guard.dispose()) this.free();
  }
}
