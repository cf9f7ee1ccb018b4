import koffi, { type LibraryHandle } from 'koffi';

import { OnnxRuntimeError } from '../errors.js';
import { ONNXRUNTIME_VERSION } from './library.js';

/** A native pointer. Never leaves `src/runtime/`. */
export type Pointer = bigint;

/** C type of a path (`ORTCHAR_T`): wide characters on Windows. */
const PATH = process.platform === 'win32' ? 'const char16_t *' : 'const char *';

/** Requested `ORT_API_VERSION`: every function below exists since this version. */
const API_VERSION = 20;

/**
 * The functions of ONNX Runtime's C API in use: index in the `OrtApi` table, and C prototype. The table's order never
 * changes (`onnxruntime_c_api.h`). Handles are `void *`.
 */
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char *(const void *status)'],
  CreateSession: [7, `void *(void *env, ${PATH} path, void *options, _Out_ void **out)`],
  CreateSessionFromArray: [8, 'void *(void *env, const void *graph, size_t bytes, void *options, _Out_ void **out)'],
  CreateSessionOptions: [10, 'void *(_Out_ void **out)'],
  SetOptimizedModelFilePath: [11, `void *(void *options, ${PATH} path)`],
  DisableMemPattern: [17, 'void *(void *options)'],
  SetSessionGraphOptimizationLevel: [23, 'void *(void *options, int level)'],
  SessionGetInputCount: [30, 'void *(void *session, _Out_ size_t *out)'],
  SessionGetOutputCount: [31, 'void *(void *session, _Out_ size_t *out)'],
  SessionGetInputName: [36, 'void *(void *session, size_t index, void *allocator, _Out_ void **out)'],
  SessionGetOutputName: [37, 'void *(void *session, size_t index, void *allocator, _Out_ void **out)'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void *(void *memoryInfo, void *data, size_t bytes, int64_t *shape, size_t rank, int type, _Out_ void **out)',
  ],
  CreateMemoryInfo: [68, 'void *(const char *name, int allocator, int device, int memory, _Out_ void **out)'],
  CreateCpuMemoryInfo: [69, 'void *(int allocator, int memory, _Out_ void **out)'],
  AllocatorAlloc: [75, 'void *(void *allocator, size_t bytes, _Out_ void **out)'],
  AllocatorFree: [76, 'void *(void *allocator, void *data)'],
  GetAllocatorWithDefaultOptions: [78, 'void *(_Out_ void **out)'],
  ReleaseEnv: [92, 'void (void *env)'],
  ReleaseStatus: [93, 'void (void *status)'],
  ReleaseMemoryInfo: [94, 'void (void *info)'],
  ReleaseSession: [95, 'void (void *session)'],
  ReleaseValue: [96, 'void (void *value)'],
  ReleaseSessionOptions: [100, 'void (void *options)'],
  CreateEnvWithGlobalThreadPools: [119, 'void *(int level, const char *id, void *threading, _Out_ void **out)'],
  DisablePerSessionThreads: [120, 'void *(void *options)'],
  CreateThreadingOptions: [121, 'void *(_Out_ void **out)'],
  ReleaseThreadingOptions: [122, 'void (void *options)'],
  GetAvailableProviders: [125, 'void *(_Out_ void **out, _Out_ int *count)'],
  ReleaseAvailableProviders: [126, 'void *(void *providers, int count)'],
  CreateAllocator: [131, 'void *(void *session, void *memoryInfo, _Out_ void **out)'],
  ReleaseAllocator: [132, 'void (void *allocator)'],
  RunWithBinding: [133, 'void *(void *session, void *runOptions, void *binding)'],
  CreateIoBinding: [134, 'void *(void *session, _Out_ void **out)'],
  ReleaseIoBinding: [135, 'void (void *binding)'],
  BindInput: [136, 'void *(void *binding, const char *name, void *value)'],
  BindOutput: [137, 'void *(void *binding, const char *name, void *value)'],
  SetGlobalIntraOpNumThreads: [147, 'void *(void *threading, int threads)'],
  SetGlobalInterOpNumThreads: [148, 'void *(void *threading, int threads)'],
  SetGlobalSpinControl: [149, 'void *(void *threading, int allow)'],
  AddInitializer: [150, 'void *(void *options, const char *name, void *value)'],
  CreatePrepackedWeightsContainer: [166, 'void *(_Out_ void **out)'],
  ReleasePrepackedWeightsContainer: [167, 'void (void *container)'],
  AddSessionConfigEntry: [130, 'void *(void *options, const char *key, const char *value)'],
  CreateSessionWithPrepackedWeightsContainer: [
    168,
    `void *(void *env, ${PATH} path, void *options, void *container, _Out_ void **out)`,
  ],
  CreateSessionFromArrayWithPrepackedWeightsContainer: [
    169,
    'void *(void *env, const void *graph, size_t bytes, void *options, void *container, _Out_ void **out)',
  ],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void *(void *options, void *cudaOptions)'],
  CreateCUDAProviderOptions: [205, 'void *(_Out_ void **out)'],
  ReleaseCUDAProviderOptions: [208, 'void (void *cudaOptions)'],
  SessionOptionsAppendExecutionProvider: [
    216,
    'void *(void *options, const char *name, const char **keys, const char **values, size_t count)',
  ],
} as const satisfies Record<string, readonly [number, string]>;

/**
 * Stack of a native call on a worker thread. koffi's default of 128 KiB is too small: WebGPU's shader compiler
 * overruns it.
 */
const STACK_BYTES = 8 << 20;

type FunctionName = keyof typeof FUNCTIONS;
type Argument = Pointer | number | string | null | ArrayBufferView | [Pointer | number | null];
type NativeFunction = ((...args: Argument[]) => unknown) & {
  async(...args: [...Argument[], (error: Error | null, result: unknown) => void]): void;
};

/** The C API's functions, without further safety. Functions that return a status go through `call`, which checks it. */
export class Api {
  readonly #functions: Record<FunctionName, NativeFunction>;

  private constructor(
    functions: Record<FunctionName, NativeFunction>,
    /** Keeps the library loaded: when koffi's handle is collected, the library and its functions are unloaded. */
    readonly library: LibraryHandle,
  ) {
    this.#functions = functions;
  }

  /** Loads the library at `path`. Throws when it is missing, is not ONNX Runtime, or has another version. */
  static load(path: string): Api {
    const library = loadLibrary(path);
    const base = library.func('void *OrtGetApiBase()')() as Pointer;
    const [getApi, getVersion] = koffi.decode(base, 'void *', 2) as [Pointer, Pointer];
    const version = callable(getVersion, 'const char *()')() as string;
    if (version !== ONNXRUNTIME_VERSION) {
      throw new OnnxRuntimeError('OrtGetApiBase', `version ${version} found, ${ONNXRUNTIME_VERSION} needed`);
    }
    const table = callable(getApi, 'void *(uint32_t version)')(API_VERSION) as Pointer | null;
    if (table === null) throw new OnnxRuntimeError('GetApi', `the library does not offer API version ${API_VERSION}`);
    const size = Math.max(...Object.values(FUNCTIONS).map(([index]) => index)) + 1;
    const pointers = koffi.decode(table, 'void *', size) as Pointer[];
    const entries = Object.entries(FUNCTIONS).map(([name, [index, prototype]]) => [
      name,
      callable(pointers[index] as Pointer, prototype),
    ]);
    return new Api(Object.fromEntries(entries) as Record<FunctionName, NativeFunction>, library);
  }

  /** Calls a function that returns a status. Throws `OnnxRuntimeError` if the status is an error. */
  call(name: FunctionName, ...args: Argument[]): void {
    this.#check(name, this.#functions[name](...args));
  }

  /** Calls a function whose last parameter is an out pointer, and returns the pointer written there. */
  create(name: FunctionName, ...args: Argument[]): Pointer {
    const out: [Pointer | null] = [null];
    this.call(name, ...args, out);
    if (out[0] === null) throw new OnnxRuntimeError(name, 'returned no handle');
    return out[0];
  }

  /** Calls a function whose last parameter is a `size_t` out pointer, and returns the number written there. */
  count(name: FunctionName, ...args: Argument[]): number {
    const out: [number] = [0];
    this.call(name, ...args, out);
    return out[0];
  }

  /** Calls a function that returns nothing. */
  release(name: FunctionName, handle: Pointer): void {
    this.#functions[name](handle);
  }

  /**
   * `call` on a worker thread, while the event loop continues. The arguments must stay alive until the promise
   * settles.
   */
  async callAsync(name: FunctionName, ...args: Argument[]): Promise<void> {
    const status = await new Promise<unknown>((resolve, reject) => {
      this.#functions[name].async(...args, (error, result) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
    this.#check(name, status);
  }

  /** `create` on a worker thread. */
  async createAsync(name: FunctionName, ...args: Argument[]): Promise<Pointer> {
    const out: [Pointer | null] = [null];
    await this.callAsync(name, ...args, out);
    if (out[0] === null) throw new OnnxRuntimeError(name, 'returned no handle');
    return out[0];
  }

  #check(name: FunctionName, status: unknown): void {
    if (status === null) return;
    const message = this.#functions.GetErrorMessage(status as Pointer) as string;
    this.#functions.ReleaseStatus(status as Pointer);
    throw new OnnxRuntimeError(name, message);
  }
}

function loadLibrary(path: string): LibraryHandle {
  // Only possible before the first call; a second runtime in the process finds it done.
  if (koffi.config().async_stack_size !== STACK_BYTES) koffi.config({ async_stack_size: STACK_BYTES });
  try {
    return koffi.load(path);
  } catch (cause) {
    throw new Error(`${path} could not be loaded: ${(cause as Error).message}`, { cause });
  }
}

function callable(pointer: Pointer, prototype: string): NativeFunction {
  return koffi.decode(pointer, koffi.proto(prototype)) as NativeFunction;
}
