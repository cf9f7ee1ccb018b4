import type { Transformer } from '../../model/transformer.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';

const FUSED_MATMUL = 'com.microsoft:FusedMatMul';

/** Keys and values [tokens, width] each, of packed queries, keys and values [tokens, 3 * width]. */
export function splitKv(graph: GraphBuilder, qkv: Value): [Value, Value] {
  const [, key, value] = graph.nodes('Split', [qkv], 3, { axis: 1, num_outputs: 3 });
  return [key as Value, value as Value];
}

/** Attention of padded rows to virtual tokens before them and to each other, as the graph's `mask` allows. */
export class PrefixedAttention {
  readonly #shape: Value;
  readonly #mask: Value;
  readonly #virtual: readonly Value[];

  /** `prefix` is [P, layers * 2 * width], the same for every row of the batch. */
  constructor(
    private readonly model: Transformer,
    prefix: Value,
    length: number,
  ) {
    const { graph, config } = model;
    const { layers, heads, width } = config;
    this.#shape = graph.input('batch', 'int64', [5]);
    this.#mask = graph.input('mask', 'float32', ['masks', 1, 'row', 'seen']);
    const rows = graph.node('Gather', [this.#shape, graph.int64([0])]);
    const dims = [length, layers * 2, heads, width / heads];
    const byBlock = graph.node('Transpose', [graph.node('Reshape', [prefix, graph.int64(dims)])], {
      perm: [1, 2, 0, 3], // [layers * 2, heads, P, headDim]
    });
    const blocks = graph.nodes('Split', [byBlock], layers * 2, { axis: 0, num_outputs: layers * 2 });
    const expanded = graph.node('Concat', [rows, graph.int64([heads, length, width / heads])], { axis: 0 });
    this.#virtual = blocks.map((block) => graph.node('Expand', [block, expanded])); // [B, heads, P, headDim]
  }

  /** Queries, keys and values [B * T, 3 * width] to [B * T, width]. */
  attend(layer: number, qkv: Value): Value {
    const { graph } = this.model;
    const [query, key, value] = heads(graph, graph.node('Reshape', [qkv, this.#shape]));
    const behind = (kv: 0 | 1, own: Value): Value =>
      graph.node('Concat', [this.#virtual[2 * layer + kv], own], { axis: 2 });
    return attention(this.model, layer, [query, behind(0, key), behind(1, value)], this.#mask);
  }
}

/** Causal attention in one row of `length` tokens: [length, 3 * width] to [length, width]. */
export function selfAttention(model: Transformer, layer: number, qkv: Value, length: number): Value {
  const { graph, config } = model;
  const shape = graph.int64([1, length, 3, config.heads, config.width / config.heads]);
  const square = graph.node('Expand', [graph.float32(MASKED), graph.int64([1, 1, length, length])]);
  const mask = graph.node('Trilu', [square, graph.int64(1)], { upper: 1 });
  return attention(model, layer, heads(graph, graph.node('Reshape', [qkv, shape])), mask);
}

/** What hides a score from the softmax: finite, so that no infinity meets a zero. */
export const MASKED = -1e9;

/** [B, T, 3, heads, headDim] to queries, keys and values [B, heads, T, headDim]. */
function heads(graph: GraphBuilder, packed: Value): [Value, Value, Value] {
  const byPart = graph.node('Transpose', [packed], { perm: [2, 0, 3, 1, 4] });
  const parts = graph.nodes('Split', [byPart], 3, { axis: 0, num_outputs: 3 });
  const shape = graph.node('Slice', [graph.node('Shape', [byPart]), graph.int64([1]), graph.int64([5])]);
  return parts.map((part) => graph.node('Reshape', [part, shape])) as [Value, Value, Value];
}

function attention(model: Transformer, layer: number, [q, k, v]: [Value, Value, Value], mask: Value): Value {
  const { graph, config } = model;
  const alpha = { float: model.attentionScale(layer) };
  const scores = graph.node('Add', [graph.node(FUSED_MATMUL, [q, k], { transB: 1, alpha }), mask]);
  const attended = graph.node(FUSED_MATMUL, [graph.node('Softmax', [scores], { axis: -1 }), v]);
  const byToken = graph.node('Transpose', [attended], { perm: [0, 2, 1, 3] });
  return graph.node('Reshape', [byToken, graph.int64([-1, config.width])]);
}
