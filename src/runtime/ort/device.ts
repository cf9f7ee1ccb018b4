import type { Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import { checkRange, type TensorMemory } from './memory.js';
import { type Provider, providerMemoryInfo } from './provider.js';
import type { Runtime } from './runtime.js';
import type { Session } from './session.js';

export interface DeviceOptions {
  /** Whether a block of memory has an address for each of its bytes; WebGPU gives it a handle as a whole. */
  readonly hasAddresses?: boolean;
}

/** Memory where a provider's graphs run, from the provider's own allocator. Dispose it after its memory, before its session. */
export class Device {
  readonly hasAddresses: boolean;
  readonly #info: Pointer;
  readonly #allocator: Pointer;
  readonly #guard = new DisposeGuard('Device');

  /** @param session any session on the provider: it lends its allocator */
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

  /** Memory on the device; its content is undefined. Throws `OnnxRuntimeError` when the device has no more. */
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

/** A block of a device's memory with one owner. Nothing can read it but graphs. Tensors borrow it: dispose it after them. */
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

  /** Throws RangeError for an offset into memory that has only a handle. */
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
