import onnxProto from 'onnx-proto';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { GraphBuilder } from '../../src/onnx/graph.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { ScratchTensors } from '../../src/runtime/ort/scratch-tensors.js';
import { Session } from '../../src/runtime/ort/session.js';

let runtime: Runtime;
let tensors: ScratchTensors;
beforeAll(() => {
  runtime = new Runtime({ threads: 1 });
  tensors = new ScratchTensors(runtime);
});
afterAll(() => {
  tensors.dispose();
  runtime.dispose();
});

/** Writes rows `new` [2, 3] into `past` [5, 3] from row `at` on. */
function scatterGraph(): GraphBuilder {
  const graph = new GraphBuilder('scatter');
  const past = graph.input('past', 'float32', [1, 5, 3]);
  const added = graph.input('new', 'float32', [1, 2, 3]);
  graph.nodes('TensorScatter', [past, added, graph.input('at', 'int64', [1])], ['present']);
  graph.output('present', 'float32', [1, 5, 3]);
  return graph;
}

function opsetOf(graph: GraphBuilder): number {
  const { opsetImport } = onnxProto.onnx.ModelProto.decode(graph.toBytes());
  return Number(opsetImport.find(({ domain }) => domain === '')?.version);
}

it('asks for newer operators only where a graph has one', () => {
  const plain = new GraphBuilder('plain');
  plain.nodes('Relu', [plain.input('x', 'float32', [1])], ['y']);
  expect([opsetOf(plain), opsetOf(scatterGraph())]).toEqual([21, 24]);
});

it('writes rows where they are, if past and present are the same memory', async () => {
  const session = await Session.open(runtime, scatterGraph().toBytes());
  const binding = session.bind();
  const memory = tensors.make('float32', [1, 5, 3], (m) => m.float32(0, 15).fill(9));
  binding.input('past', memory).output('present', memory);
  binding.input(
    'new',
    tensors.make('float32', [1, 2, 3], (m) => m.float32(0, 6).set([1, 2, 3, 4, 5, 6])),
  );
  binding.input(
    'at',
    tensors.make('int64', [1], (m) => m.int64(0, 1).fill(2n)),
  );
  await session.run(binding);
  const nines = Array<number>(6).fill(9);
  expect([...memory.memory.float32(0, 15)]).toEqual([...nines, 1, 2, 3, 4, 5, 6, 9, 9, 9]);
  binding.dispose();
  await session.dispose();
});
