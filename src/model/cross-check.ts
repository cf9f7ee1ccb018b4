import { GraphBuilder } from '../onnx/graph.js';
import { CROSS } from '../prefix/kv.js';
import type { Runtime } from '../runtime/ort/runtime.js';
import { ScratchTensors } from '../runtime/ort/scratch-tensors.js';
import { Session } from '../runtime/ort/session.js';
import { elementCount, type Tensor } from '../runtime/ort/tensor.js';
import { toFloat16 } from './compile/float16.js';
import { CrossAttention, type CrossForm } from './cross-attention.js';
import { kvName } from './graph-names.js';
import type { KvPrecision } from './precision.js';
import { bytesOf } from './weights.js';

/** By type of keys and values: attention in float16 rounds its queries and sums too. */
const TOLERANCE: Record<KvPrecision, number> = { float32: 1e-4, float16: 1e-2 };
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
 * @param kv type of keys and values
 */
export async function isFusedExact(runtime: Runtime, kv: KvPrecision): Promise<boolean> {
  for (const lengths of CASES) {
    const plain = await attend(runtime, { form: 'plain', kv, lengths });
    const fused = await attend(runtime, { form: 'fused', kv, lengths }).catch(() => undefined); // an operator that refuses is as good as a wrong one
    if (fused?.every((value, i) => Math.abs(value - (plain[i] as number)) < TOLERANCE[kv]) !== true) return false;
  }
  return true;
}

interface Case {
  readonly form: CrossForm;
  readonly kv: KvPrecision;
  readonly lengths: readonly number[];
}

/** A case computed: `[tokens, width]`. */
async function attend(runtime: Runtime, { form, kv: type, lengths }: Case): Promise<Float32Array> {
  const tensors = new ScratchTensors(runtime);
  const session = await Session.open(runtime, crossGraph(form, type).toBytes());
  const binding = session.bind();
  const floats = (shape: number[], seed: number, as: KvPrecision = 'float32'): Tensor => {
    const values = Float32Array.from({ length: elementCount(shape) }, (_, i) => 2 * Math.sin(seed + 1.7 * i));
    const bytes = bytesOf(as === 'float16' ? toFloat16(values) : values);
    return tensors.make(as, shape, (memory) => memory.bytesAt(0, bytes.length).set(bytes));
  };
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
      const slots = floats([lengths.length, HEADS, POSITIONS, HEAD_DIM], 2 + kv, type);
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

function crossGraph(form: CrossForm, kv: KvPrecision): GraphBuilder {
  const graph = new GraphBuilder('cross-check');
  const site = { name: CROSS, layers: 1, kvHeads: HEADS, headDim: HEAD_DIM };
  const attentionScale = (): number => 1 / Math.sqrt(HEAD_DIM);
  const model = { graph, site, positions: POSITIONS, activationType: 'float32', attentionScale } as const;
  const queries = graph.input('queries', 'float32', ['tokens', WIDTH]);
  const cross = new CrossAttention(model, kv, form);
  graph.nodes('Identity', [cross.attend(0, queries)], ['attended']);
  graph.output('attended', 'float32', ['tokens', WIDTH]);
  return graph;
}
