import type { Transformer } from '../../model/transformer.js';
import type { Inverses } from '../../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import type { AttentionSite } from '../../prefix/kv.js';

const FUSED_MATMUL = 'com.microsoft:FusedMatMul';

/** Keys and values [tokens, width] each, of packed queries, keys and values [tokens, 3 * width]. */
export function splitKv(graph: GraphBuilder, qkv: Value): [Value, Value] {
  const [, key, value] = graph.nodes('Split', [qkv], 3, { axis: 1, num_outputs: 3 });
  return [key as Value, value as Value];
}

/** Virtual tokens of a site, the same for every row of a batch. */
export class VirtualTokens {
  readonly #blocks: readonly Value[];

  /**
   * @param prefix [P, rowWidth(site)]
   * @param rows how many the batch has, [1]
   */
  constructor(
    private readonly graph: GraphBuilder,
    { layers, kvHeads: heads, headDim }: AttentionSite,
    prefix: Value,
    length: number,
    rows: Value,
  ) {
    const dims = [length, layers * 2, heads, headDim];
    const byBlock = graph.node('Transpose', [graph.node('Reshape', [prefix, graph.int64(dims)])], {
      perm: [1, 2, 0, 3], // [layers * 2, heads, P, headDim]
    });
    const blocks = graph.nodes('Split', [byBlock], layers * 2, { axis: 0, num_outputs: layers * 2 });
    const expanded = graph.node('Concat', [rows, graph.int64([heads, length, headDim])], { axis: 0 });
    this.#blocks = blocks.map((block) => graph.node('Expand', [block, expanded])); // [B, heads, P, headDim]
  }

  /** A layer's keys and values [B, heads, T, headDim] to [B, heads, P + T, headDim]: behind the virtual tokens. */
  before(layer: number, key: Value, value: Value): [key: Value, value: Value] {
    const behind = (kv: 0 | 1, own: Value): Value =>
      this.graph.node('Concat', [this.#blocks[2 * layer + kv], own], { axis: 2 });
    return [behind(0, key), behind(1, value)];
  }
}

/** Rows of the batch [1], of indices whose dimension `axis` they are. */
export function rowCount(graph: GraphBuilder, indices: Value, axis: number): Value {
  return graph.node('Gather', [graph.node('Shape', [indices]), graph.int64([axis])]);
}

/**
 * Attention of rows, padded for it, to virtual tokens before them and to each other, as the graph's `mask` allows. Queries have as many
 * heads as keys and values.
 */
export class PrefixedAttention {
  readonly #pad: Value;
  readonly #unpad: Value;
  readonly #mask: Value;
  readonly #virtual: VirtualTokens;

  /** `prefix` is [P, rowWidth(site)], the same for every row of the batch. */
  constructor(
    private readonly model: Transformer,
    prefix: Value,
    length: number,
  ) {
    const { graph, site } = model;
    const { kvHeads: heads } = site;
    this.#pad = graph.input('pad', 'int32', [3, 'rows', heads, 'row']);
    this.#unpad = graph.input('unpad', 'int32', ['tokens', heads]);
    this.#mask = graph.input('mask', 'float32', ['masks', 1, 'row', 'seen']);
    this.#virtual = new VirtualTokens(graph, site, prefix, length, rowCount(graph, this.#pad, 1));
  }

  /** Queries, keys and values [N, 3 * width] to [N, width]. */
  attend(layer: number, qkv: Value): Value {
    const { graph, site } = this.model;
    const pieces = graph.int64([-1, site.headDim]);
    const [query, key, value] = parts(graph, graph.node('Gather', [graph.node('Reshape', [qkv, pieces]), this.#pad]));
    const kv = this.#virtual.before(layer, key, value);
    const attended = attention(graph, this.model.attentionScale(layer), [query, ...kv], this.#mask);
    const byToken = graph.node('Gather', [graph.node('Reshape', [attended, pieces]), this.#unpad]);
    return graph.node('Reshape', [byToken, graph.int64([-1, site.kvHeads * site.headDim])]);
  }

  /** Indices that take gradients back through padding and unpadding. */
  inverses(): Inverses {
    const { graph } = this.model;
    return new Map([
      [this.#pad, { index: graph.input('pad_back', 'int32', ['pieces']), zeros: false }],
      [this.#unpad, { index: graph.input('unpad_back', 'int32', ['padded']), zeros: true }],
    ]);
  }
}

/** Causal attention in one row of `length` tokens: [length, 3 * width] to [length, width]. */
export function selfAttention(model: Transformer, layer: number, qkv: Value, length: number): Value {
  const { graph, site } = model;
  const shape = graph.int64([1, length, 3, site.kvHeads, site.headDim]);
  const byPart = graph.node('Transpose', [graph.node('Reshape', [qkv, shape])], { perm: [2, 0, 3, 1, 4] });
  const attended = attention(graph, model.attentionScale(layer), parts(graph, byPart), causalMask(graph, length));
  const byToken = graph.node('Transpose', [attended], { perm: [0, 2, 1, 3] });
  return graph.node('Reshape', [byToken, graph.int64([-1, site.kvHeads * site.headDim])]);
}

/** [1, 1, length, length]: what stands behind a token is hidden from it. */
export function causalMask(graph: GraphBuilder, length: number): Value {
  const square = graph.node('Expand', [graph.float32(MASKED), graph.int64([1, 1, length, length])]);
  return graph.node('Trilu', [square, graph.int64(1)], { upper: 1 });
}

/** Added to a score to hide it from the softmax. Finite, so that no infinity is multiplied by zero. */
export const MASKED = -1e9;

/** [3, B, heads, T, headDim] to queries, keys and values [B, heads, T, headDim]. */
function parts(graph: GraphBuilder, byPart: Value): [Value, Value, Value] {
  const split = graph.nodes('Split', [byPart], 3, { axis: 0, num_outputs: 3 });
  const shape = graph.node('Slice', [graph.node('Shape', [byPart]), graph.int64([1]), graph.int64([5])]);
  return split.map((part) => graph.node('Reshape', [part, shape])) as [Value, Value, Value];
}

/** Queries [B, heads, T, headDim] and keys and values [B, heads, S, headDim] to [B, heads, T, headDim]. The mask, if any, is added to the scores. */
export function attention(
  graph: GraphBuilder,
  scale: number,
  [q, k, v]: readonly [Value, Value, Value],
  mask: Value | undefined,
): Value {
  const products = graph.node(FUSED_MATMUL, [q, k], { transB: 1, alpha: { float: scale } });
  const scores = mask === undefined ? products : graph.node('Add', [products, mask]);
  return graph.node(FUSED_MATMUL, [graph.node('Softmax', [scores], { axis: -1 }), v]);
}
