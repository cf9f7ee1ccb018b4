import type { Pointer } from './api.js';
import { DisposeGuard } from './dispose-guard.js';
import type { Runtime } from './runtime.js';
import type { Tensor } from './tensor.js';

/** Graph rewriting by ONNX Runtime: none, or everything it knows. */
const OPTIMIZATION_LEVELS = { none: 0, basic: 1, all: 99 } as const;

export interface SessionOptions {
  /** Values for the graph's initialisers, by name. Sessions that get the same tensors share memory. */
  readonly initializers?: ReadonlyMap<string, Tensor>;
  /** Where sessions with the same initialisers also share the packed copies that matrix products make of them. */
  readonly packedWeights?: PackedWeights;
  readonly optimization?: keyof typeof OPTIMIZATION_LEVELS;
  /** Rather little memory than a few percent of speed: no packed copies of weights, no memory planned ahead for a shape. */
  readonly frugal?: boolean;
}

/** Packed weights of several sessions. Dispose it after them. */
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

/** A loaded graph. Runs one binding at a time; disposing waits for the run in flight. */
export class Session {
  readonly #guard = new DisposeGuard('Session');
  #running: Promise<void> | undefined;

  private constructor(
    private readonly runtime: Runtime,
    private readonly handle: Pointer,
    /** Held, not read: the session points to their memory. */
    protected readonly lent: SessionOptions,
    readonly inputs: ReadonlySet<string>,
    readonly outputs: ReadonlySet<string>,
  ) {}

  /** Loads the graph file at `path`, on a worker thread. Throws `OnnxRuntimeError` when it is missing or corrupt. */
  static async open(runtime: Runtime, path: string, options: SessionOptions = {}): Promise<Session> {
    const { api } = runtime;
    const native = nativeOptions(runtime, options);
    try {
      const handle =
        options.packedWeights === undefined
          ? await api.createAsync('CreateSession', runtime.env, path, native)
          : await api.createAsync(
              'CreateSessionWithPrepackedWeightsContainer',
              runtime.env,
              path,
              native,
              options.packedWeights.handle,
            );
      const inputs = names(runtime, handle, 'Input');
      return new Session(runtime, handle, options, inputs, names(runtime, handle, 'Output'));
    } finally {
      api.release('ReleaseSessionOptions', native);
    }
  }

  /** A new, empty binding of this session's inputs and outputs. */
  bind(): Binding {
    this.#guard.check();
    return new Binding(this.runtime, this.runtime.api.create('CreateIoBinding', this.handle), this);
  }

  /** Runs the graph on a worker thread. The bound memory belongs to native code until the promise settles. */
  async run(binding: Binding): Promise<void> {
    this.#guard.check();
    if (binding.session !== this) throw new Error('the binding belongs to another session');
    if (this.#running !== undefined) throw new Error('the session is running');
    binding.checkComplete();
    this.#running = this.runtime.api.callAsync('RunWithBinding', this.handle, null, binding.handle);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async dispose(): Promise<void> {
    if (!this.#guard.dispose()) return;
    await this.#running?.catch(() => undefined); // whoever ran it gets the error
    this.runtime.api.release('ReleaseSession', this.handle);
  }
}

/** Tensors bound to a session's inputs and outputs; it holds what it lends. Dispose it before its session. */
export class Binding {
  readonly #guard = new DisposeGuard('Binding');
  readonly #inputs = new Map<string, Tensor>();
  readonly #outputs = new Map<string, Tensor>();

  constructor(
    private readonly runtime: Runtime,
    readonly handle: Pointer,
    readonly session: Session,
  ) {}

  /** Binds an input; throws for a name that the graph does not have. */
  input(name: string, tensor: Tensor): this {
    this.#guard.check();
    expectName('input', name, this.session.inputs);
    this.runtime.api.call('BindInput', this.handle, name, tensor.handle);
    this.#inputs.set(name, tensor);
    return this;
  }

  /** Binds an output to memory of the right size; throws for a name that the graph does not have. */
  output(name: string, tensor: Tensor): this {
    this.#guard.check();
    expectName('output', name, this.session.outputs);
    this.runtime.api.call('BindOutput', this.handle, name, tensor.handle);
    this.#outputs.set(name, tensor);
    return this;
  }

  /** Throws unless every input and output of the graph is bound: native code would find out the hard way. */
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

function expectBound(kind: string, names: ReadonlySet<string>, bound: ReadonlyMap<string, Tensor>): void {
  for (const name of names) {
    const tensor = bound.get(name);
    if (tensor === undefined) throw new Error(`${kind} '${name}' is not bound`);
    void tensor.handle; // throws when the tensor was disposed since
  }
}

function nativeOptions(runtime: Runtime, options: SessionOptions): Pointer {
  const { api } = runtime;
  const native = api.create('CreateSessionOptions');
  try {
    api.call('DisablePerSessionThreads', native);
    api.call('SetSessionGraphOptimizationLevel', native, OPTIMIZATION_LEVELS[options.optimization ?? 'all']);
    if (options.frugal) {
      api.call('AddSessionConfigEntry', native, 'session.disable_prepacking', '1');
      api.call('DisableMemPattern', native);
    }
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
