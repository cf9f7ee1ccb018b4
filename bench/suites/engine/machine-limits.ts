import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { DisposableStack } from '#src/model/backend/disposable-stack.js';
import { GraphBuilder, type Value } from '#src/onnx/graph.js';
import { Runtime } from '#src/runtime/ort/runtime.js';
import { Session } from '#src/runtime/ort/session.js';
import { Tensor } from '#src/runtime/ort/tensor.js';

/** Shape of the tensor that is read: 512 MiB, more than any cache and about GPT-2's weights, in rows for all threads. */
const READ_SHAPE = [64, 2 ** 21] as const;
/** Side of the squares that are multiplied. They fit the caches; larger ones were slower. */
const GEMM_SIZE = 1024;

/** A graph that does a known amount of work. */
interface Kernel {
  /** Bytes read, or floating-point operations, of one run. */
  readonly work: number;
  /** Runs the kernel once and returns the milliseconds. */
  time(): Promise<number>;
}

/** The two limits of the machine, each measured by an ONNX Runtime kernel on all threads. */
export interface MachineLimits {
  /** Sums a tensor that fits no cache; its work is in bytes. */
  readonly read: Kernel;
  /** Multiplies two squares, one of them packed ahead as weights are; its work is in floating-point operations. */
  readonly multiply: Kernel;
  dispose(): Promise<void>;
}

/** Opens both kernels on `threads` threads. */
export async function openMachineLimits(threads: number): Promise<MachineLimits> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-limits-'));
  const resources = new DisposableStack();
  try {
    const runtime = resources.use(new Runtime({ threads }));
    const read = await openRead(runtime, directory, resources);
    const multiply = await openMultiply(runtime, directory, resources);
    return { read, multiply, dispose: () => resources.dispose() };
  } catch (error) {
    await resources.dispose();
    throw error;
  } finally {
    await fs.rm(directory, { recursive: true });
  }
}

async function openRead(runtime: Runtime, directory: string, resources: DisposableStack): Promise<Kernel> {
  const [rows, columns] = READ_SHAPE;
  const graph = new GraphBuilder('read');
  const x = graph.input('x', 'float32', READ_SHAPE);
  graph.nodes('ReduceSum', [x, graph.int64([1])], ['y'], { keepdims: 0 });
  graph.output('y', 'float32', [rows]);
  const kernel = await open(runtime, path.join(directory, 'read.onnx'), graph, resources, [rows], READ_SHAPE);
  return { ...kernel, work: 4 * rows * columns };
}

async function openMultiply(runtime: Runtime, directory: string, resources: DisposableStack): Promise<Kernel> {
  const shape = [GEMM_SIZE, GEMM_SIZE];
  const graph = new GraphBuilder('multiply');
  const x = graph.input('x', 'float32', shape);
  // ONNX Runtime needs the file to exist; the values come from memory, as the model's do.
  await fs.writeFile(path.join(directory, 'w'), '');
  const weight = graph.weight('w', shape, { file: 'w', offset: 0, bytes: 4 * GEMM_SIZE ** 2 });
  graph.nodes('Gemm', [x, weight], ['y']);
  graph.output('y', 'float32', shape);
  const weights = new Map([['w', filled(runtime, shape, resources)]]);
  const kernel = await open(runtime, path.join(directory, 'multiply.onnx'), graph, resources, shape, shape, weights);
  return { ...kernel, work: 2 * GEMM_SIZE ** 3 };
}

/** Opens a graph from `x` to `y`. */
async function open(
  runtime: Runtime,
  file: string,
  graph: GraphBuilder,
  resources: DisposableStack,
  output: readonly number[],
  input: readonly number[],
  initializers: ReadonlyMap<Value, Tensor> = new Map(),
): Promise<Pick<Kernel, 'time'>> {
  await fs.writeFile(file, graph.toBytes());
  const session = resources.use(await Session.open(runtime, file, { initializers }));
  const binding = resources.use(session.bind());
  binding.input('x', filled(runtime, input, resources)).output('y', filled(runtime, output, resources));
  const time = async (): Promise<number> => {
    const start = performance.now();
    await session.run(binding);
    return performance.now() - start;
  };
  return { time };
}

/** A tensor whose pages all exist, because they have been written. */
function filled(runtime: Runtime, shape: readonly number[], resources: DisposableStack): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const memory = resources.use(runtime.allocate(4 * size));
  memory.float32(0, size).fill(0.5);
  return resources.use(new Tensor(runtime, 'float32', shape, memory));
}
