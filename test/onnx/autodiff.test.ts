import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { addGradients } from '../../src/onnx/autodiff/gradients.js';
import type { Inverse, Size } from '../../src/onnx/autodiff/rule.js';
import { RULES } from '../../src/onnx/autodiff/rules.js';
import { GraphBuilder, type Value } from '../../src/onnx/graph.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { elementCount } from '../../src/runtime/ort/tensor.js';
import { uniform } from '../../src/engine/sampling/random.js';
import { type Data, TestGraph } from './run-graph.js';

let runtime: Runtime;
beforeAll(() => {
  runtime = new Runtime({ threads: 1 });
});
afterAll(() => {
  runtime.dispose();
});

type Shapes = Record<string, readonly number[]>;

/** A function of float32 inputs to check: its operator (or a name), shapes, and the inputs that are frozen. */
interface Case {
  readonly name: string;
  readonly inputs: Shapes;
  readonly frozen?: readonly string[];
  readonly output: readonly number[];
  readonly write: (graph: GraphBuilder) => Value;
  /** Of indices that it takes rows by. */
  readonly inverses?: (graph: GraphBuilder) => [Value, Inverse][];
  /** Of values that are known without them. */
  readonly shapes?: readonly [Value, readonly Size[]][];
}

const fused = 'com.microsoft:FusedMatMul';
const unary = (op: string, attributes = {}, name = op): Case => ({
  name,
  inputs: { x: [3, 5] },
  output: [3, 5],
  write: (g) => g.node(op, ['x'], attributes),
});

const cases: Case[] = [
  {
    name: 'Gemm',
    inputs: { x: [3, 4], w: [4, 5], b: [5] },
    output: [3, 5],
    write: (g) => g.node('Gemm', ['x', 'w', 'b']),
  },
  {
    name: 'Gemm with transB',
    inputs: { x: [3, 4], w: [5, 4] },
    output: [3, 5],
    write: (g) => g.node('Gemm', ['x', 'w'], { transB: 1 }),
  },
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) => ({
      name: `${fused} transA ${transA} transB ${transB}`,
      inputs: { x: [2, ...(transA ? [4, 3] : [3, 4])], w: [2, ...(transB ? [5, 4] : [4, 5])] },
      output: [2, 3, 5],
      write: (g: GraphBuilder) => g.node(fused, ['x', 'w'], { transA, transB, alpha: { float: 0.7 } }),
    })),
  ),
  { name: 'Add', inputs: { x: [3, 4], y: [3, 4] }, output: [3, 4], write: (g) => g.node('Add', ['x', 'y']) },
  {
    name: 'Add, one operand twice',
    inputs: { x: [3, 4] },
    output: [3, 4],
    write: (g) => g.node('Add', ['x', g.node('Mul', ['x', 'x'])]),
  },
  {
    name: 'Mul, one operand frozen and broadcast',
    inputs: { x: [3, 4], y: [4] },
    frozen: ['y'],
    output: [3, 4],
    write: (g) => g.node('Mul', ['x', 'y']),
  },
  { name: 'Mul', inputs: { x: [3, 4], y: [3, 4] }, output: [3, 4], write: (g) => g.node('Mul', ['x', 'y']) },
  unary('Gelu'),
  unary('Gelu', { approximate: 'tanh' }, 'Gelu, tanh'),
  unary('com.microsoft:QuickGelu', { alpha: { float: 1.702 } }),
  unary('Relu'),
  unary('Tanh'),
  unary('Sigmoid'),
  unary('Softmax', { axis: -1 }),
  {
    name: 'LayerNormalization',
    inputs: { x: [3, 8], scale: [8], bias: [8] },
    frozen: ['scale', 'bias'],
    output: [3, 8],
    write: (g) => g.nodes('LayerNormalization', ['x', 'scale', 'bias'], 3, { epsilon: { float: 1e-5 } })[0]!,
  },
  {
    name: 'SimplifiedLayerNormalization',
    inputs: { x: [3, 8], scale: [8] },
    frozen: ['scale'],
    output: [3, 8],
    write: (g) =>
      g.nodes('SimplifiedLayerNormalization', ['x', 'scale'], 2, { axis: -1, epsilon: { float: 1e-5 } })[0]!,
  },
  {
    name: 'com.microsoft:RotaryEmbedding',
    inputs: { x: [1, 3, 16], cosines: [3, 4], sines: [3, 4] },
    frozen: ['cosines', 'sines'],
    output: [1, 3, 16],
    write: (g) => g.node('com.microsoft:RotaryEmbedding', ['x', g.int64([0]), 'cosines', 'sines']),
  },
  { name: 'Reshape', inputs: { x: [3, 4] }, output: [2, 6], write: (g) => g.node('Reshape', ['x', g.int64([2, 6])]) },
  {
    name: 'Reshape, of a known shape',
    inputs: { x: [3, 4] },
    output: [2, 6],
    write: (g) => g.node('Reshape', ['x', g.int64([2, 6])]),
    shapes: [['x', [-1, 4]]],
  },
  {
    name: 'Reshape, of a shape that is known in part by a tensor',
    inputs: { x: [3, 4] },
    output: [2, 6],
    write: (g) => {
      g.int64([4]);
      return g.node('Reshape', ['x', g.int64([2, 6])]);
    },
    shapes: [['x', [-1, 'int64_[4]']]],
  },
  {
    name: 'Unsqueeze',
    inputs: { x: [3, 4] },
    output: [3, 1, 4],
    write: (g) => g.node('Unsqueeze', ['x', g.int64([1])]),
  },
  {
    name: 'Transpose',
    inputs: { x: [2, 3, 4] },
    output: [4, 2, 3],
    write: (g) => g.node('Transpose', ['x'], { perm: [2, 0, 1] }),
  },
  {
    name: 'Split, one part unused',
    inputs: { x: [3, 6] },
    output: [3, 2],
    write: (g) => {
      const [first, , last] = g.nodes('Split', ['x'], 3, { axis: 1, num_outputs: 3 }) as [Value, Value, Value];
      return g.node('Mul', [first, last]);
    },
  },
  {
    name: 'Concat, one part frozen',
    inputs: { x: [2, 3], y: [2, 1], z: [2, 2] },
    frozen: ['y'],
    output: [2, 6],
    write: (g) => g.node('Concat', ['x', 'y', 'z'], { axis: 1 }),
  },
  {
    name: 'Concat, of known sizes',
    inputs: { x: [2, 3], y: [2, 1] },
    output: [2, 4],
    write: (g) => {
      g.int64([1]);
      return g.node('Concat', ['x', 'y'], { axis: 1 });
    },
    shapes: [
      ['x', [-1, 3]],
      ['y', [-1, 'int64_[1]']],
    ],
  },
  { name: 'Expand', inputs: { x: [1, 3] }, output: [4, 3], write: (g) => g.node('Expand', ['x', g.int64([4, 3])]) },
  {
    name: 'Gather, a row twice',
    inputs: { x: [4, 3] },
    output: [3, 3],
    write: (g) => g.node('Gather', ['x', g.int64([2, 0, 2])]),
  },
  {
    name: 'Gather, every row, with an inverse',
    inputs: { x: [4, 3] },
    output: [4, 3],
    write: (g) => g.node('Gather', ['x', g.int64([2, 0, 3, 1])]),
    inverses: (g) => [[g.int64([2, 0, 3, 1]), { index: g.int64([1, 3, 0, 2]), zeros: false }]],
  },
  {
    name: 'Gather, some rows, with an inverse',
    inputs: { x: [4, 3] },
    output: [2, 3],
    write: (g) => g.node('Gather', ['x', g.int64([2, 0])]),
    inverses: (g) => [[g.int64([2, 0]), { index: g.int64([1, 2, 0, 2]), zeros: true }]],
  },
];

describe('the gradient of', () => {
  it.each(cases)(
    '$name is that of finite differences',
    async ({ inputs, frozen = [], output, write, inverses, shapes: known }) => {
      const trained = Object.keys(inputs).filter((name) => !frozen.includes(name));
      const graph = new GraphBuilder('case');
      for (const [name, shape] of Object.entries(inputs)) graph.input(name, 'float32', shape);
      graph.input('seed', 'float32', output);
      const y = write(graph);
      const gradients = addGradients(graph, new Map([[y, 'seed']]), trained, {
        inverses: new Map(inverses?.(graph)),
        shapes: new Map(known),
      });
      const shapesTaken = graph.history.filter(({ op }) => op === 'Shape').flatMap(({ inputs }) => inputs);
      for (const [value] of known ?? []) expect(shapesTaken).not.toContain(value);
      graph.output(y, 'float32', output);
      const wanted = trained.map((name) => {
        const copy = graph.nodes('Identity', [gradients.get(name)], [`grad_${name}`])[0]!;
        graph.output(copy, 'float32', inputs[name]!);
        return [copy, inputs[name]!] as const;
      });
      const shapes: Shapes = { [y]: output, ...Object.fromEntries(wanted) };
      const opened = await TestGraph.open(runtime, graph);
      try {
        const data = Object.fromEntries(
          Object.entries({ ...inputs, seed: output }).map(([name, shape], i) => [name, noise(shape, i)]),
        );
        const found = await opened.run(data, shapes);
        for (const name of trained) {
          const numeric = await differences(opened, data, name, y, shapes);
          expectClose(found[`grad_${name}`]!, numeric, 2e-3);
        }
      } finally {
        await opened.dispose();
      }
    },
  );

  it('covers every rule', () => {
    const covered = cases.map(({ name }) => name.split(/[, ]/)[0]);
    expect(Object.keys(RULES).filter((op) => !covered.includes(op))).toEqual([]);
  });
});

describe('addGradients', () => {
  it('writes nothing for a frozen weight', () => {
    const graph = new GraphBuilder('frozen');
    for (const name of ['x', 'w', 'seed']) graph.input(name, 'float32', [4, 4]);
    const frozen = graph.node('Tanh', [graph.node('Gemm', ['w', 'w'])]);
    const y = graph.node('Gemm', ['x', frozen]);
    const before = graph.history.length;
    addGradients(graph, new Map([[y, 'seed']]), ['x']);
    expect(graph.history.slice(before)).toMatchObject([
      { op: 'Gemm', inputs: ['seed', frozen], attributes: { transB: 1 } },
    ]);
  });

  it('names an operator without a rule, and a parameter that nothing depends on', () => {
    const graph = new GraphBuilder('refused');
    graph.input('x', 'float32', [2]);
    const y = graph.node('Erf', ['x']);
    expect(() => addGradients(graph, new Map([[y, 'x']]), ['x'])).toThrow('no rule differentiates Erf');
    expect(() => addGradients(graph, new Map([[y, 'x']]), ['z'])).toThrow('nothing depends on z');
  });
});

/** Values in [-2, 2) that repeat from run to run. */
function noise(shape: readonly number[], stream: number): { shape: readonly number[]; data: Float32Array } {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => uniform(7, stream, i) * 4 - 2);
  return { shape, data };
}

/** Central differences of sum(seed * y) for each element of an input. */
async function differences(
  graph: TestGraph,
  inputs: Record<string, Data & { data: Float32Array }>,
  name: string,
  y: Value,
  shapes: Shapes,
): Promise<Float32Array> {
  const { shape, data } = inputs[name]!;
  const seed = inputs['seed']!.data;
  const step = 1e-2;
  const at = async (index: number, by: number): Promise<number> => {
    const moved = data.slice();
    moved[index]! += by;
    const output = (await graph.run({ ...inputs, [name]: { shape, data: moved } }, shapes))[y]!;
    return output.reduce((sum, value, i) => sum + value * seed[i]!, 0);
  };
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = ((await at(i, step)) - (await at(i, -step))) / (2 * step);
  return result;
}

/** Within `tolerance` of the largest entry. */
function expectClose(found: Float32Array, expected: Float32Array, tolerance: number): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0.1);
  const error = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  expect(error / largest).toBeLessThan(tolerance);
}
