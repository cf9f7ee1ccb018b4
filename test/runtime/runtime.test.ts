import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { GraphBuilder } from '../../src/onnx/graph.js';
import { OnnxRuntimeError } from '../../src/runtime/errors.js';
import { mapFile } from '../../src/runtime/libc/mapped-file.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { PackedWeights, Session } from '../../src/runtime/ort/session.js';
import { Tensor } from '../../src/runtime/ort/tensor.js';

const SIZE = 64;
let directory: string;
let runtime: Runtime;
let graphFile: string;

/** y = x @ w, with w `[SIZE, SIZE]` from outside. */
function productGraph(): Uint8Array {
  const graph = new GraphBuilder('product');
  const x = graph.input('x', 'float32', ['rows', SIZE]);
  const w = graph.weight('w', [SIZE, SIZE], { file: 'weights.bin', offset: 0, bytes: SIZE * SIZE * 4 });
  graph.nodes('MatMul', [x, w], ['y']);
  graph.output('y', 'float32', ['rows', SIZE]);
  return graph.toBytes();
}

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-runtime-'));
  graphFile = path.join(directory, 'product.onnx');
  await fs.writeFile(graphFile, productGraph());
  const identity = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % (SIZE + 1) === 0 ? 2 : 0));
  await fs.writeFile(path.join(directory, 'weights.bin'), new Uint8Array(identity.buffer));
  runtime = new Runtime({ threads: 2 });
});

afterAll(async () => {
  runtime.dispose();
  await fs.rm(directory, { recursive: true });
});

/** A tensor `[rows, SIZE]` counting up from 0, with its memory. */
function counting(rows: number): { tensor: Tensor; values: Float32Array; dispose(): void } {
  const memory = runtime.allocate(rows * SIZE * 4);
  const values = memory.float32(0, rows * SIZE);
  values.forEach((_, i) => (values[i] = i));
  const tensor = new Tensor(runtime, 'float32', [rows, SIZE], memory);
  return {
    tensor,
    values,
    dispose: () => {
      tensor.dispose();
      memory.dispose();
    },
  };
}

describe('Session', () => {
  it('runs a graph on the memory that is bound, again and again', async () => {
    const session = await Session.open(runtime, graphFile);
    const [x, y] = [counting(3), counting(3)];
    const binding = session.bind().input('x', x.tensor).output('y', y.tensor);
    await session.run(binding);
    expect(y.values[70]).toBe(140);
    x.values[70] = 1.5;
    await session.run(binding);
    expect(y.values[70]).toBe(3);
    binding.dispose();
    await session.dispose();
    x.dispose();
    y.dispose();
  });

  it('takes initialisers from memory instead of the file, shared by several sessions', async () => {
    const weights = mapFile(runtime, path.join(directory, 'weights.bin'));
    const w = new Tensor(runtime, 'float32', [SIZE, SIZE], weights.memory);
    const packedWeights = new PackedWeights(runtime);
    const options = { initializers: new Map([['w', w]]), packedWeights };
    const sessions = [
      await Session.open(runtime, graphFile, options),
      await Session.open(runtime, graphFile, options),
      await Session.open(runtime, await fs.readFile(graphFile), { ...options, filesDirectory: directory }),
    ];
    weights.releasePages();
    for (const session of sessions) {
      const [x, y] = [counting(1), counting(1)];
      const binding = session.bind().input('x', x.tensor).output('y', y.tensor);
      await session.run(binding);
      expect(y.values[7]).toBe(14);
      binding.dispose();
      await session.dispose();
      x.dispose();
      y.dispose();
    }
    packedWeights.dispose();
    w.dispose();
    weights.memory.dispose();
  });

  it('waits with its end for the run in flight', async () => {
    const session = await Session.open(runtime, graphFile);
    const [x, y] = [counting(2000), counting(2000)];
    const binding = session.bind().input('x', x.tensor).output('y', y.tensor);
    let finished = false;
    const run = session.run(binding).then(() => (finished = true));
    await session.dispose();
    expect(finished).toBe(true);
    await run;
    binding.dispose();
    x.dispose();
    y.dispose();
    await expect(session.run(binding)).rejects.toThrow('Session was disposed');
  });

  it('refuses a second run at the same time', async () => {
    const session = await Session.open(runtime, graphFile);
    const [x, y] = [counting(2000), counting(2000)];
    const binding = session.bind().input('x', x.tensor).output('y', y.tensor);
    const run = session.run(binding);
    await expect(session.run(binding)).rejects.toThrow('the session is running');
    await run;
    binding.dispose();
    await session.dispose();
    x.dispose();
    y.dispose();
  });

  it('names an input that the graph lacks and one that is not bound', async () => {
    const session = await Session.open(runtime, graphFile);
    const x = counting(1);
    const binding = session.bind();
    expect(() => binding.input('z', x.tensor)).toThrow("the graph has no input 'z'; it has x");
    expect(() => binding.output('x', x.tensor)).toThrow("the graph has no output 'x'; it has y");
    binding.input('x', x.tensor);
    await expect(session.run(binding)).rejects.toThrow("output 'y' is not bound");
    x.dispose();
    await expect(session.run(binding)).rejects.toThrow(/not bound|disposed/);
    binding.dispose();
    await session.dispose();
  });

  it("turns ONNX Runtime's status into an error with its own message", async () => {
    const session = await Session.open(runtime, graphFile);
    const [wrong, y] = [runtime.allocate(12), counting(1)];
    const x = new Tensor(runtime, 'float32', [1, 3], wrong);
    const binding = session.bind().input('x', x).output('y', y.tensor);
    await expect(session.run(binding)).rejects.toThrow(/RunWithBinding: .*invalid dimensions for input: x/s);
    binding.dispose();
    await session.dispose();
    x.dispose();
    wrong.dispose();
    y.dispose();
  });

  it('refuses a missing and a corrupt graph', async () => {
    await expect(Session.open(runtime, path.join(directory, 'none.onnx'))).rejects.toThrow(OnnxRuntimeError);
    const corrupt = path.join(directory, 'corrupt.onnx');
    await fs.writeFile(
      corrupt,
      productGraph().map((byte, i) => (i % 3 === 0 ? byte ^ 0x5a : byte)),
    );
    await expect(Session.open(runtime, corrupt)).rejects.toThrow(/CreateSession: /);
  });
});

describe('Runtime', () => {
  it('lists the providers of the library', () => {
    expect(runtime.providers()).toContain('CPUExecutionProvider');
  });

  it('refuses a library that is missing or is none', () => {
    expect(() => new Runtime({ threads: 1, library: path.join(directory, 'none.so') })).toThrow(/none\.so/);
    expect(() => new Runtime({ threads: 1, library: graphFile })).toThrow();
  });

  it('hands out nothing after its end', () => {
    const other = new Runtime({ threads: 1 });
    other.dispose();
    other.dispose(); // a second time does nothing
    expect(() => other.allocate(8)).toThrow('Runtime was disposed');
  });
});

describe('Memory and Tensor', () => {
  it('check every range before native code sees it', () => {
    const memory = runtime.allocate(64);
    expect(() => memory.float32(0, 17)).toThrow(RangeError);
    expect(() => memory.float32(-4, 1)).toThrow(RangeError);
    expect(() => new Tensor(runtime, 'float32', [4, 5], memory)).toThrow(RangeError);
    expect(() => new Tensor(runtime, 'int64', [9], memory)).toThrow(RangeError);
    expect(() => new Tensor(runtime, 'float32', [2, -1], memory)).toThrow('dimension -1 of [2, -1]');
    expect(() => new Tensor(runtime, 'float32', [1.5], memory)).toThrow('dimension 1.5');
    expect(() => new Tensor(runtime, 'float32', [4, 4], memory, 4)).toThrow(RangeError);
    memory.dispose();
    expect(() => memory.float32(0, 1)).toThrow('Memory was disposed');
  });

  it('a mapped file is its content', async () => {
    const file = path.join(directory, 'bytes');
    await fs.writeFile(file, Uint8Array.of(1, 2, 3, 4, 5));
    const mapped = mapFile(runtime, file);
    expect([...mapped.memory.bytesAt(0, 5)]).toEqual([1, 2, 3, 4, 5]);
    mapped.releasePages();
    expect([...mapped.memory.bytesAt(3, 2)]).toEqual([4, 5]);
    mapped.memory.dispose();
    expect(() => mapFile(runtime, path.join(directory, 'absent'))).toThrow(/ENOENT/);
  });
});
