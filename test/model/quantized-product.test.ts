import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseConfig } from '../../src/model/gpt2/config.js';
import { BITS, quantizedNames, quantizedShapes, quantizeRows } from '../../src/model/compile/quantize.js';
import { Gpt2Transformer } from '../../src/model/gpt2/transformer.js';
import { layOut } from '../../src/model/weights.js';
import { GraphBuilder } from '../../src/onnx/graph.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { ScratchTensors } from '../../src/runtime/ort/scratch-tensors.js';
import { Session } from '../../src/runtime/ort/session.js';

/** Neither width is a whole number of blocks. */
const config = parseConfig({
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  n_layer: 1,
  n_head: 5,
  n_embd: 40,
  n_inner: 100,
  n_positions: 8,
  vocab_size: 10,
});

describe.each(['int8', 'int4'] as const)('a linear layer in %s', (precision) => {
  let runtime: Runtime;
  let directory: string;
  beforeAll(async () => {
    runtime = new Runtime({ threads: 2 });
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-product-'));
  });
  afterAll(async () => {
    runtime.dispose();
    await fs.rm(directory, { recursive: true });
  });

  it.each([
    ['h.0.mlp.c_fc', 40, 100],
    ['h.0.mlp.c_proj', 100, 40],
  ] as const)('%s of %i inputs is close to the float32 product', async (name, inputs, outputs) => {
    const weight = wave(inputs * outputs, 1);
    const bias = wave(outputs, 2);
    const rows = 3;
    const x = wave(rows * inputs, 3);
    const session = await openLinear(name, inputs, outputs, weight, bias);
    const y = await run(session, x, [rows, inputs], [rows, outputs]);
    // Half a step for each weight (a whole one at the far end), and half a step of 8 bits for each activation.
    const step = 1 / 2 ** (BITS[precision] - 1);
    const bound = inputs * (step + 0.5 / 127);
    let [squares, largest] = [0, 0];
    for (let row = 0; row < rows; row++) {
      for (let output = 0; output < outputs; output++) {
        let expected = bias[output] as number;
        for (let i = 0; i < inputs; i++) {
          expected += (x[row * inputs + i] as number) * (weight[i * outputs + output] as number);
        }
        const error = (y[row * outputs + output] as number) - expected;
        squares += error * error;
        largest = Math.max(largest, Math.abs(error));
      }
    }
    expect(largest).toBeLessThan(bound);
    // Errors of either sign cancel: their size grows with the root of the number of inputs.
    expect(Math.sqrt(squares / (rows * outputs))).toBeLessThan(step * Math.sqrt(inputs) * 0.6);
  });

  /** The layer as `Transformer` writes it, `x` to `y`. */
  async function openLinear(
    name: string,
    inputs: number,
    outputs: number,
    weight: Float32Array,
    bias: Float32Array,
  ): Promise<Session> {
    const bits = BITS[precision];
    const { values, scales } = quantizeRows(weight, { inputs, outputs, inputStride: outputs, outputStride: 1 }, bits);
    const names = quantizedNames(name);
    const shapes = quantizedShapes(inputs, outputs, bits);
    const { spans, bytes } = layOut([
      { name: names.values, shape: shapes.values, type: 'uint8' },
      { name: names.scales, shape: shapes.scales },
      { name: `${name}.bias`, shape: [outputs] },
    ]);
    const file = new Uint8Array(bytes);
    [values, new Uint8Array(scales.buffer), new Uint8Array(bias.buffer)].forEach((content, i) => {
      file.set(content, spans[i]?.offset);
    });
    await fs.writeFile(path.join(directory, 'weights.bin'), file);
    const graph = new GraphBuilder('linear');
    const x = graph.input('x', 'float32', ['rows', inputs]);
    const y = new Gpt2Transformer(graph, { config, weights: spans, weightsFile: 'weights.bin' }).linear(x, name);
    graph.nodes('Identity', [y], ['y']);
    graph.output('y', 'float32', ['rows', outputs]);
    await fs.writeFile(path.join(directory, 'linear.onnx'), graph.toBytes());
    return Session.open(runtime, path.join(directory, 'linear.onnx'));
  }

  async function run(
    session: Session,
    x: Float32Array,
    shape: readonly number[],
    outputShape: readonly [number, number],
  ): Promise<Float32Array> {
    const tensors = new ScratchTensors(runtime);
    const binding = session.bind();
    try {
      binding.input(
        'x',
        tensors.make('float32', shape, (memory) => memory.float32(0, x.length).set(x)),
      );
      const y = tensors.make('float32', outputShape);
      binding.output('y', y);
      await session.run(binding);
      return y.memory.float32(0, outputShape[0] * outputShape[1]).slice();
    } finally {
      binding.dispose();
      tensors.dispose();
      await session.dispose();
    }
  }
});

/** Values in [-1, 1] without a pattern of 32. */
function wave(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(seed + i * i * 0.37 + i * 1.3));
}
