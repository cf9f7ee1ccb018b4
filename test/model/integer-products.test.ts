import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { columnNames, emptyColumns, quantizeColumns, toUnsigned } from '../../src/model/compile/quantize-columns.js';
import { WeightNodes } from '../../src/model/weight-nodes.js';
import { bytesOf, layOut } from '../../src/model/weights.js';
import { GraphBuilder } from '../../src/onnx/graph.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { ScratchTensors } from '../../src/runtime/ort/scratch-tensors.js';
import { Session } from '../../src/runtime/ort/session.js';
import { INT8_FORMS } from '../support/int8-forms.js';

/** Neither is a multiple of any vector's length. */
const INPUTS = 333;
const OUTPUTS = 77;

describe.each(INT8_FORMS.filter((form) => form !== 'blocks'))('a product of integers with %s weights', (form) => {
  const weight = noise(INPUTS * OUTPUTS, 1);
  const bias = noise(OUTPUTS, 2);
  let runtime: Runtime;
  let directory: string;
  let session: Session;
  beforeAll(async () => {
    runtime = new Runtime({ threads: 2 });
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-products-'));
    session = await openLayer();
  });
  afterAll(async () => {
    await session.dispose();
    runtime.dispose();
    await fs.rm(directory, { recursive: true });
  });

  it.each([
    ['around zero', (x: number) => x],
    ['above zero', (x: number) => 5 + x],
    ['below zero', (x: number) => x - 5],
    ['with outliers of both signs', (x: number, i: number) => (i % 50 === 0 ? 40 * x : x)],
    ['with outliers of one sign', (x: number, i: number) => (i % 50 === 0 ? 40 * Math.abs(x) : x)],
    ['all the same', () => 3],
    ['all zero', () => 0],
    ['tiny', (x: number) => 1e-25 * x],
  ] as const)('is within the rounding of each weight and activation, for a row %s', async (_title, change) => {
    const x = noise(INPUTS, 3).map(change);
    const y = await run(x, 1);
    const [low, high] = [Math.min(...x), Math.max(...x)];
    for (let output = 0; output < OUTPUTS; output++) {
      const column = Array.from({ length: INPUTS }, (_, input) => weight[input * OUTPUTS + output] as number);
      const halfWeight = Math.max(...column.map(Math.abs)) / 127 / 2;
      const halfActivation = (high - low) / 255 / 2;
      let [expected, bound] = [bias[output] as number, 1e-5];
      column.forEach((w, input) => {
        expected += (x[input] as number) * w;
        bound +=
          Math.abs(x[input] as number) * halfWeight * 1.001 + (Math.abs(w) + halfWeight) * halfActivation * 1.001;
      });
      expect(Math.abs((y[output] as number) - expected)).toBeLessThan(bound);
    }
  });

  it('has the same bits for a row alone and in any company', async () => {
    const rows = 37;
    // Each row in a range of its own, as users' texts are.
    const x = noise(rows * INPUTS, 4).map((value, i) => value * 2 ** ((Math.floor(i / INPUTS) % 9) - 4));
    const together = await run(x, rows);
    for (let row = 0; row < rows; row++) {
      const alone = await run(x.slice(row * INPUTS, (row + 1) * INPUTS), 1);
      expect(bytesOf(alone)).toEqual(bytesOf(together.slice(row * OUTPUTS, (row + 1) * OUTPUTS)));
    }
    const few = await run(x.slice(3 * INPUTS, 8 * INPUTS), 5);
    expect(bytesOf(few)).toEqual(bytesOf(together.slice(3 * OUTPUTS, 8 * OUTPUTS)));
  });

  it('leaves rows as they are beside one that is no number', async () => {
    const x = noise(2 * INPUTS, 5);
    const alone = await run(x.slice(INPUTS), 1);
    x.fill(NaN, 0, 7);
    expect(bytesOf((await run(x, 2)).slice(OUTPUTS))).toEqual(bytesOf(alone));
  });

  async function openLayer(): Promise<Session> {
    const isSigned = form === 'signed';
    const columns = emptyColumns(INPUTS, OUTPUTS);
    quantizeColumns(weight, { inputs: INPUTS, outputs: OUTPUTS, inputStride: OUTPUTS, outputStride: 1 }, columns);
    const names = columnNames('layer');
    const { spans, bytes } = layOut([
      { name: names.values, shape: [INPUTS, OUTPUTS], type: isSigned ? 'int8' : 'uint8' },
      { name: names.scales, shape: [OUTPUTS] },
      { name: names.sums, shape: [OUTPUTS] },
      { name: 'layer.bias', shape: [OUTPUTS] },
    ]);
    const values = isSigned ? columns.values : toUnsigned(columns.values);
    const file = new Uint8Array(bytes);
    [values, columns.scales, columns.sums, bias].forEach((content, i) => {
      file.set(bytesOf(content), spans[i]?.offset);
    });
    await fs.writeFile(path.join(directory, 'weights.bin'), file);
    const graph = new GraphBuilder('layer');
    const x = graph.input('x', 'float32', ['rows', INPUTS]);
    const nodes = new WeightNodes(graph, { config: {}, weights: spans, weightsFile: 'weights.bin' });
    nodes.quantizedProduct(x, 'layer', INPUTS, 'layer.bias', 'y');
    graph.output('y', 'float32', ['rows', OUTPUTS]);
    await fs.writeFile(path.join(directory, 'layer.onnx'), graph.toBytes());
    return Session.open(runtime, path.join(directory, 'layer.onnx'));
  }

  async function run(x: Float32Array, rows: number): Promise<Float32Array> {
    const tensors = new ScratchTensors(runtime);
    const binding = session.bind();
    try {
      const write = (memory: { float32(at: number, length: number): Float32Array }) =>
        memory.float32(0, x.length).set(x);
      binding.input('x', tensors.make('float32', [rows, INPUTS], write));
      const y = tensors.make('float32', [rows, OUTPUTS]);
      binding.output('y', y);
      await session.run(binding);
      return y.memory.float32(0, rows * OUTPUTS).slice();
    } finally {
      binding.dispose();
      tensors.dispose();
    }
  }
});

/** Values in [-1, 1) without a pattern. */
function noise(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43_758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
}
