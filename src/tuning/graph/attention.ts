import type { Transformer } from '../../model/transformer.js';
import type { Known, Size } from '../../onnx/autodiff/rule.js';
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
  /** Shapes of keys and values of the layers. */
  readonly shapes: readonly [Value, readonly Size[]][];

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
    this.shapes = this.#blocks.map((block) => [block, [-1, heads, length, headDim]]);
  }

  /** A layer's keys and values [B, heads, T, headDim] to [B, heads, P + T, headDim]: behind the virtual tokens. */
  before(layer: number, key: Value, value: Value): [key: Value, value: Value] {
    const behind = (kv: 0 | 1, own: Value): Value =>
      this.graph.node('Concat', [this.#blocks[2 * layer + kv], own], { axis: 2 });
    return [behind(0, key), behind(1, value)];
  }
}

/** Size [1] of a value along an axis. */
export function sizeOf(graph: GraphBuilder, value: Value, axis: number): Value {
  return graph.node('Gather', [graph.node('Shape', [value]), graph.int64([axis])]);
}

/**
 * Attention of rows, padded for it, to virtual tokens before them and to each other, as the graph's `mask` allows. Queries have as many
 * heads as keys and values.
 */
export class PrefixedAttention {
  readonly #pad: Value;
  readonly #unpad: Value;
  readonly #mask: Value;
  /** Tokens of the longest row, [1]. */
  readonly #length: Value;
  readonly #virtual: VirtualTokens;
  readonly #shapes: [Value, readonly Size[]][] = [];

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
    this.#length = sizeOf(graph, this.#pad, 3);
    this.#virtual = new VirtualTokens(graph, site, prefix, length, sizeOf(graph, this.#pad, 1));
  }

  /** Queries, keys and values [N, 3 * width] to [N, width]. */
  attend(layer: number, qkv: Value): Value {
    const { graph, site } = this.model;
    const { kvHeads: heads, headDim } = site;
    const pieces = graph.int64([-1, headDim]);
    const [query, key, value] = parts(graph, graph.node('Gather', [graph.node('Reshape', [qkv, pieces]), this.#pad]));
    this.#shapes.push([qkv, [-1, 3 * heads * headDim]]);
    for (const own of [key, value]) this.#shapes.push([own, [-1, heads, this.#length, headDim]]);
    const kv = this.#virtual.before(layer, key, value);
    const attended = attention(graph, this.model.attentionScale(layer), [query, ...kv], this.#mask);
    const byToken = graph.node('Gather', [graph.node('Reshape', [attended, pieces]), this.#unpad]);
    return graph.node('Reshape', [byToken, graph.int64([-1, heads * headDim])]);
  }

  /** Indices that take gradients back through padding and unpadding, and shapes of what was written. */
  known(): Required<Known> {
    const { graph } = this.model;
    const inverses = new Map([
      [this.#pad, { index: graph.input('pad_back', 'int32', ['pieces']), zeros: false }],
      [this.#unpad, { index: graph.input('unpad_back', 'int32', ['padded']), zeros: true }],
    ]);
    return { inverses, shapes: new Map([...this.#virtual.shapes, ...this.#shapes]) };
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
