import { GraphBuilder } from '../onnx/graph.js';
import { CROSS } from '../prefix/kv.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import { ScratchTensors } from '../runtime/ort/scratch-tensors.js';
import { Session } from '../runtime/ort/session.js';
import type { Tensor } from '../runtime/ort/tensor.js';
import { CrossAttention, type CrossForm } from './cross-attention.js';
import { kvName } from './graph-names.js';

const TOLERANCE = 1e-4;
const QUERIES = 2;
const HEADS = 2;
const HEAD_DIM = 8;
const WIDTH = HEADS * HEAD_DIM;
const POSITIONS = 5;
/** Lengths of slots: one is shorter than the queries are many, one is full. */
const CASES = [[4, 1, POSITIONS], [1], [POSITIONS]];

/**
 * Whether ONNX Runtime's operator computes cross-attention as `CrossAttention` uses it: nothing appended, several queries of several
 * slots. Its documentation promises less, so a small case is compared with the plain form.
 */
export async function isFusedExact(runtime: Runtime): Promise<boolean> {
  for (const lengths of CASES) {
    const plain = await attend(runtime, 'plain', lengths);
    const fused = await attend(runtime, 'fused', lengths).catch(() => undefined); // an operator that refuses is as good as a wrong one
    if (fused?.every((value, i) => Math.abs(value - (plain[i] as number)) < TOLERANCE) !== true) return false;
  }
  return true;
}

/** A case in one form: `[tokens, width]`. */
async function attend(runtime: Runtime, form: CrossForm, lengths: readonly number[]): Promise<Float32Array> {
  const tensors = new ScratchTensors(runtime);
  const session = await Session.open(runtime, crossGraph(form).toBytes());
  const binding = session.bind();
  const floats = (shape: number[], seed: number): Tensor =>
    tensors.make('float32', shape, (memory) =>
      memory
        .float32(
          0,
          shape.reduce((a, b) => a * b),
        )
        .forEach((_, i, all) => (all[i] = 2 * Math.sin(seed + 1.7 * i))),
    );
  const indices = (shape: number[], values: number[]): Tensor =>
    tensors.make('int64', shape, (memory) => memory.int64(0, values.length).set(values.map(BigInt)));
  const int32 = (values: number[]): Tensor =>
    tensors.make('int32', [values.length], (memory) => memory.int32(0, values.length).set(values));
  try {
    const tokens = lengths.length * QUERIES;
    const places = Array.from({ length: tokens }, (_, token) => tokens - 1 - token);
    binding.input('queries', floats([tokens, WIDTH], 1));
    binding.input('grid', indices([lengths.length, QUERIES], places));
    binding.input('ungrid', indices([tokens], places));
    binding.input('cross_lengths', int32(lengths.map((length) => length - 1)));
    if (form === 'fused') binding.input('cross_longest', int32([QUERIES]));
    for (const kv of [0, 1] as const) {
      const slots = floats([lengths.length, HEADS, POSITIONS, HEAD_DIM], 2 + kv);
      binding.input(kvName('past', 'cross', 0, kv), slots);
      if (form === 'fused') binding.output(kvName('present', 'cross', 0, kv), slots);
    }
    const output = tensors.make('float32', [tokens, WIDTH]);
    binding.output('attended', output);
    await session.run(binding);
    return output.memory.float32(0, tokens * WIDTH).slice();
  } finally {
    binding.dispose();
    tensors.dispose();
    await session.dispose();
  }
}

function crossGraph(form: CrossForm): GraphBuilder {
  const graph = new GraphBuilder('cross-check');
  const site = { name: CROSS, layers: 1, kvHeads: HEADS, headDim: HEAD_DIM };
  const attentionScale = (): number => 1 / Math.sqrt(HEAD_DIM);
  const model = { graph, site, positions: POSITIONS, activationType: 'float32', attentionScale } as const;
  const queries = graph.input('queries', 'float32', ['tokens', WIDTH]);
  const cross = new CrossAttention(model, 'float32', form);
  graph.nodes('Identity', [cross.attend(0, queries)], ['attended']);
  graph.output('attended', 'float32', ['tokens', WIDTH]);
  return graph;
}
