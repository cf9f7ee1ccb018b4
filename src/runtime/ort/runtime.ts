import koffi from 'koffi';

import { Api, type Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import { libraryPath } from './library.js';
import { returnLargeBlocks } from '../libc/malloc.js';
import { Memory } from './memory.js';

/** `ORT_LOGGING_LEVEL_ERROR`: warnings about operators' placement are of no use to an operator of ours. */
const LOG_LEVEL_ERROR = 3;
const LOG_LEVEL_FATAL = 4;
/** `OrtDeviceAllocator`, `OrtMemTypeDefault`. */
const DEVICE_ALLOCATOR = 0;
const MEMORY_DEFAULT = 0;

export interface RuntimeOptions {
  /** Threads that work on one step, shared by all sessions of this runtime; at least 1. */
  readonly threads: number;
  /** Whether threads that wait for the next operator spin instead of going to sleep; true unless given. */
  readonly spin?: boolean;
  /** ONNX Runtime does not write to the standard error stream what it throws as well. */
  readonly quiet?: boolean;
  /** Another ONNX Runtime library than the one in `onnxruntime-node`. */
  readonly library?: string;
}

/**
 * ONNX Runtime, loaded once: its environment with one thread pool for all sessions, and the memory it hands out.
 * Dispose it after everything that it made.
 */
export class Runtime {
  readonly api: Api;
  /** Path of ONNX Runtime's library. */
  readonly library: string;
  /** Environment handle. */
  readonly env: Pointer;
  /** Describes CPU memory. */
  readonly cpuMemoryInfo: Pointer;
  readonly #allocator: Pointer;
  readonly #guard = new DisposeGuard('Runtime');

  constructor(options: RuntimeOptions) {
    this.library = options.library ?? libraryPath();
    this.api = Api.load(this.library); // the first library that koffi loads: its settings are fixed from then on
    returnLargeBlocks();
    this.env = createEnvironment(this.api, options);
    this.cpuMemoryInfo = this.api.create('CreateCpuMemoryInfo', DEVICE_ALLOCATOR, MEMORY_DEFAULT);
    this.#allocator = this.api.create('GetAllocatorWithDefaultOptions'); // the library's own, not to be released
  }

  /** Names of the execution providers that the library was built with, such as `CPUExecutionProvider`. */
  providers(): string[] {
    const names: [Pointer | null] = [null];
    const count: [number] = [0];
    this.api.call('GetAvailableProviders', names, count);
    const result = koffi.decode(names[0], 'const char *', count[0]) as string[];
    this.api.call('ReleaseAvailableProviders', names[0], count[0]);
    return result;
  }

  /** CPU memory that does not move. Its pages cost nothing until they are touched; their content is undefined. */
  allocate(bytes: number): Memory {
    this.#guard.check();
    const pointer = this.api.create('AllocatorAlloc', this.#allocator, bytes);
    return new Memory(pointer, bytes, () => {
      this.api.call('AllocatorFree', this.#allocator, pointer);
    });
  }

  /** Reads a string that the C API allocated, and frees it. */
  takeString(pointer: Pointer): string {
    const text = koffi.decode.string(pointer);
    this.api.call('AllocatorFree', this.#allocator, pointer);
    return text;
  }

  /** The allocator that strings from the C API come from. */
  get allocator(): Pointer {
    return this.#allocator;
  }

  dispose(): void {
    if (!this.#guard.dispose()) return;
    this.api.release('ReleaseMemoryInfo', this.cpuMemoryInfo);
    this.api.release('ReleaseEnv', this.env);
  }
}

/** An environment whose sessions share one pool: several pools would spin against each other. */
function createEnvironment(api: Api, { threads, spin = true, quiet }: RuntimeOptions): Pointer {
  const threading = api.create('CreateThreadingOptions');
  try {
    api.call('SetGlobalIntraOpNumThreads', threading, threads);
    api.call('SetGlobalInterOpNumThreads', threading, 1);
    api.call('SetGlobalSpinControl', threading, spin ? 1 : 0);
    const level = quiet ? LOG_LEVEL_FATAL : LOG_LEVEL_ERROR;
    return api.create('CreateEnvWithGlobalThreadPools', level, 'preamble', threading);
  } finally {
    api.release('ReleaseThreadingOptions', threading);
  }
}
