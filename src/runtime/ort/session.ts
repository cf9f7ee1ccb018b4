import type { Pointer } from './api.js';
import { DisposeGuard } from '../dispose-guard.js';
import { appendProvider, type Provider } from './provider.js';
import type { Runtime } from './runtime.js';
import type { AnyTensor } from './tensor.js';

/** ONNX Runtime's levels of graph optimization. */
const OPTIMIZATION_LEVELS = { none: 0, basic: 1, all: 99 } as const;

/** Configuration key for the directory of external weights. */
const FILES_DIRECTORY = 'session.model_external_initializers_file_folder_path';

/** Configuration entries that make a session save its optimized graph with packed weights, beside the file that they lie in. */
const SAVING = {
  'session.optimized_model_external_initializers_min_size_in_bytes': '1024',
  'session.save_external_prepacked_constant_initializers': '1',
} as const;

/** How to load and run a graph. */
export interface SessionOptions {
  /** Where the whole graph runs; the CPU unless given. Initializers must be in memory of the same device. */
  readonly provider?: Provider;
  /** Values of the graph's initializers, by name. Sessions given the same tensors share their memory. */
  readonly initializers?: ReadonlyMap<string, AnyTensor>;
  /** Directory of the graph's external files, for a graph given as bytes. */
  readonly filesDirectory?: string;
  /** Shared store of packed weights, for sessions with the same initializers. */
  readonly packedWeights?: PackedWeights;
  readonly optimization?: keyof typeof OPTIMIZATION_LEVELS;
  /**
   * Whether matrix products keep packed copies of their weights: faster runs, a slower start, twice the memory. True
   * unless given.
   */
  readonly packWeights?: boolean;
  /** Saves the optimized graph, and in a file beside it the initializers and their packed copies. Give no `initializers` then. */
  readonly saveTo?: { readonly graph: string; readonly weightsFile: string };
  /** Whether ONNX Runtime plans memory ahead for each input shape. Costs memory when shapes vary. True unless given. */
  readonly planMemory?: boolean;
}

/** Packed weights that several sessions share. Dispose it after them. */
export class PackedWeights {
  readonly handle: Pointer;
  readonly #guard = new DisposeGuard('PackedWeights');

  constructor(private readonly runtime: Runtime) {
    this.handle = runtime.api.create('CreatePrepackedWeightsContainer');
  }

  dispose(): void {
    if (this.#guard.dispose()) this.runtime.api.release('ReleasePrepackedWeightsContainer', this.handle);
  }
}

/** A loaded graph. Runs one binding at a time. */
export class Session {
  readonly #guard = new DisposeGuard('Session');
  #running: Promise<void> | undefined;

  private constructor(
    private readonly runtime: Runtime,
    private readonly handle: Pointer,
    /** Not read, only kept referenced: the native session points into the memory of these options. */
    protected readonly lent: SessionOptions,
    readonly inputs: ReadonlySet<string>,
    readonly outputs: ReadonlySet<string>,
  ) {}

  /**
   * Loads a graph, given as a path or as bytes, on a worker thread. Throws `OnnxRuntimeError` when the graph is
   * missing or corrupt, and `ProviderError` when the provider does not work here.
   */
  static async open(runtime: Runtime, graph: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
    const { api } = runtime;
    const native = nativeOptions(runtime, options);
    try {
      const handle = await createSession(runtime, graph, native, options.packedWeights);
      const inputs = names(runtime, handle, 'Input');
      return new Session(runtime, handle, options, inputs, names(runtime, handle, 'Output'));
    } finally {
      api.release('ReleaseSessionOptions', native);
    }
  }

  /** A new binding with nothing bound yet. */
  bind(): Binding {
    this.#guard.check();
    return new Binding(this.runtime, this.runtime.api.create('CreateIoBinding', this.handle), this);
  }

  /**
   * Runs the graph on a worker thread. Until the promise settles, the bound memory must not be touched: native code
   * uses it.
   */
  async run(binding: Binding): Promise<void> {
    this.#checkRunnable(binding);
    this.#running = this.runtime.api.callAsync('RunWithBinding', this.handle, null, binding.handle);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Runs the graph on the event loop's thread, for graphs that take less time than a message to a worker thread. */
  runNow(binding: Binding): void {
    this.#checkRunnable(binding);
    this.runtime.api.call('RunWithBinding', this.handle, null, binding.handle);
  }

  /** An allocator for the memory described by `info`. The caller releases it before disposing the session. */
  createAllocator(info: Pointer): Pointer {
    this.#guard.check();
    return this.runtime.api.create('CreateAllocator', this.handle, info);
  }

  /** Releases the session once the current run, if there is one, has ended. */
  async dispose(): Promise<void> {
    if (!this.#guard.dispose()) return;
    await this.#running?.catch(() => undefined); // whoever ran it gets the error
    this.runtime.api.release('ReleaseSession', this.handle);
  }

  #checkRunnable(binding: Binding): void {
    this.#guard.check();
    if (binding.session !== this) throw new Error('the binding belongs to another session');
    if (this.#running !== undefined) throw new Error('the session is running');
    binding.checkComplete();
  }
}

/** Tensors bound to a session's inputs and outputs. Keeps them referenced. Dispose it before its session. */
export class Binding {
  readonly #guard = new DisposeGuard('Binding');
  readonly #inputs = new Map<string, AnyTensor>();
  readonly #outputs = new Map<string, AnyTensor>();

  constructor(
    private readonly runtime: Runtime,
    readonly handle: Pointer,
    readonly session: Session,
  ) {}

  /**
   * Binds an input. If the graph runs on another device, the tensor is copied there now, so write it first. Throws
   * for an unknown name.
   */
  input(name: string, tensor: AnyTensor): this {
    this.#guard.check();
    expectName('input', name, this.session.inputs);
    this.runtime.api.call('BindInput', this.handle, name, tensor.handle);
    this.#inputs.set(name, tensor);
    return this;
  }

  /** Binds an output to memory of the right size. Throws for an unknown name. */
  output(name: string, tensor: AnyTensor): this {
    this.#guard.check();
    expectName('output', name, this.session.outputs);
    this.runtime.api.call('BindOutput', this.handle, name, tensor.handle);
    this.#outputs.set(name, tensor);
    return this;
  }

  /** Throws unless every input and output is bound and not disposed; running would crash. */
  checkComplete(): void {
    this.#guard.check();
    expectBound('input', this.session.inputs, this.#inputs);
    expectBound('output', this.session.outputs, this.#outputs);
  }

  dispose(): void {
    if (!this.#guard.dispose()) return;
    this.runtime.api.release('ReleaseIoBinding', this.handle);
    this.#inputs.clear();
    this.#outputs.clear();
  }
}

function expectName(kind: string, name: string, names: ReadonlySet<string>): void {
  if (!names.has(name)) throw new Error(`the graph has no ${kind} '${name}'; it has ${[...names].join(', ')}`);
}

function expectBound(kind: string, names: ReadonlySet<string>, bound: ReadonlyMap<string, AnyTensor>): void {
  for (const name of names) {
    const tensor = bound.get(name);
    if (tensor === undefined) throw new Error(`${kind} '${name}' is not bound`);
    void tensor.handle; // throws when the tensor was disposed since
  }
}

function createSession(
  { api, env }: Runtime,
  graph: string | Uint8Array,
  native: Pointer,
  packed: PackedWeights | undefined,
): Promise<Pointer> {
  if (typeof graph === 'string') {
    if (packed === undefined) return api.createAsync('CreateSession', env, graph, native);
    return api.createAsync('CreateSessionWithPrepackedWeightsContainer', env, graph, native, packed.handle);
  }
  const bytes = [graph, graph.length, native] as const;
  if (packed === undefined) return api.createAsync('CreateSessionFromArray', env, ...bytes);
  return api.createAsync('CreateSessionFromArrayWithPrepackedWeightsContainer', env, ...bytes, packed.handle);
}

function nativeOptions(runtime: Runtime, options: SessionOptions): Pointer {
  const { api } = runtime;
  const native = api.create('CreateSessionOptions');
  try {
    api.call('DisablePerSessionThreads', native);
    if (options.provider !== undefined && options.provider !== 'cpu') {
      appendProvider(runtime, native, options.provider);
      // A node that runs on the CPU after all would drag its inputs there and back in every run.
      api.call('AddSessionConfigEntry', native, 'session.disable_cpu_ep_fallback', '1');
    }
    api.call('SetSessionGraphOptimizationLevel', native, OPTIMIZATION_LEVELS[options.optimization ?? 'all']);
    if (options.filesDirectory !== undefined) {
      api.call('AddSessionConfigEntry', native, FILES_DIRECTORY, options.filesDirectory);
    }
    if (options.packWeights === false) {
      api.call('AddSessionConfigEntry', native, 'session.disable_prepacking', '1');
    }
    if (options.saveTo !== undefined) {
      const { graph, weightsFile } = options.saveTo;
      api.call('SetOptimizedModelFilePath', native, graph);
      const entries = { ...SAVING, 'session.optimized_model_external_initializers_file_name': weightsFile };
      for (const [key, value] of Object.entries(entries)) api.call('AddSessionConfigEntry', native, key, value);
    }
    if (options.planMemory === false) api.call('DisableMemPattern', native);
    for (const [name, tensor] of options.initializers ?? []) api.call('AddInitializer', native, name, tensor.handle);
    return native;
  } catch (error) {
    api.release('ReleaseSessionOptions', native);
    throw error;
  }
}

function names(runtime: Runtime, session: Pointer, kind: 'Input' | 'Output'): ReadonlySet<string> {
  const { api } = runtime;
  const count = api.count(`SessionGet${kind}Count`, session);
  return new Set(
    Array.from({ length: count }, (_, index) =>
      runtime.takeString(api.create(`SessionGet${kind}Name`, session, index, runtime.allocator)),
    ),
  );
}
