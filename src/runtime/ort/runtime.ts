import koffi from 'koffi';

import { Api, type Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import { libraryPath } from './library.js';
import { returnLargeBlocks } from '../libc/malloc.js';
import { Memory } from './memory.js';

/** `ORT_LOGGING_LEVEL_ERROR`: hides warnings about operator placement, of no use to whoever runs the server. */
const LOG_LEVEL_ERROR = 3;
const LOG_LEVEL_FATAL = 4;
/** ONNX Runtime's constants `OrtDeviceAllocator` and `OrtMemTypeDefault`. */
const DEVICE_ALLOCATOR = 0;
const MEMORY_DEFAULT = 0;

/** Threads and library of a runtime. */
export interface RuntimeOptions {
  /** Threads inside one step, shared by all sessions of this runtime; at least 1. */
  readonly threads: number;
  /** Whether threads that wait for the next operator spin instead of sleeping; true unless given. */
  readonly spin?: boolean;
  /** Whether ONNX Runtime writes no errors to standard error (they are thrown anyway); false unless given. */
  readonly quiet?: boolean;
  /** Path of another ONNX Runtime library than the one in `onnxruntime-node`. */
  readonly library?: string;
}

/**
 * ONNX Runtime, loaded once: an environment with one thread pool for all sessions, and a CPU allocator. Dispose it
 * after everything made from it.
 */
export class Runtime {
  readonly api: Api;
  /** Path of the loaded library. */
  readonly library: string;
  /** Environment handle. */
  readonly env: Pointer;
  /** Native description of CPU memory. */
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

  /** Names of the execution providers that the library was built with, for example `CPUExecutionProvider`. */
  providers(): string[] {
    const names: [Pointer | null] = [null];
    const count: [number] = [0];
    this.api.call('GetAvailableProviders', names, count);
    const result = koffi.decode(names[0], 'const char *', count[0]) as string[];
    this.api.call('ReleaseAvailableProviders', names[0], count[0]);
    return result;
  }

  /**
   * Allocates CPU memory at a fixed address. Its content is undefined, and its pages take no memory until they are
   * touched.
   */
  allocate(bytes: number): Memory {
    this.#guard.check();
    const pointer = this.api.create('AllocatorAlloc', this.#allocator, bytes);
    return new Memory(pointer, bytes, () => {
      this.api.call('AllocatorFree', this.#allocator, pointer);
    });
  }

  /** Reads and frees a string that the C API allocated. */
  takeString(pointer: Pointer): string {
    const text = koffi.decode.string(pointer);
    this.api.call('AllocatorFree', this.#allocator, pointer);
    return text;
  }

  /** Allocator of the strings that the C API returns. */
  get allocator(): Pointer {
    return this.#allocator;
  }

  dispose(): void {
    if (!this.#guard.dispose()) return;
    this.api.release('ReleaseMemoryInfo', this.cpuMemoryInfo);
    this.api.release('ReleaseEnv', this.env);
  }
}

/** An environment whose sessions share one thread pool: several pools would spin against each other. */
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
