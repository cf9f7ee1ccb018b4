import type { Transformer } from '../../model/transformer.js';
import type { Known, Size } from '../../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import { type AttentionSite, queryHeadsOf } from '../../prefix/kv.js';

const FUSED_MATMUL = 'com.microsoft:FusedMatMul';

/** Packed queries, keys and values apart: `[tokens, queryHeads * headDim]`, and twice `[tokens, kvHeads * headDim]`. */
export function splitQkv(graph: GraphBuilder, site: AttentionSite, qkv: Value): [Value, Value, Value] {
  const { kvHeads, headDim } = site;
  const widths = graph.int64([queryHeadsOf(site) * headDim, kvHeads * headDim, kvHeads * headDim]);
  return graph.nodes('Split', [qkv, widths], 3, { axis: 1 }) as [Value, Value, Value];
}

/** Heads of queries for each head of keys and values. */
function queriesPerKey(site: AttentionSite): number {
  return queryHeadsOf(site) / site.kvHeads;
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
 * Attention of rows, padded for it, to virtual tokens before them and to each other, as the graph's `mask` allows. Queries that share a
 * head of keys and values are rows of one product: [B, kvHeads, queries * T, headDim], where `queries` are the heads that share it.
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
    const queries = queriesPerKey(site);
    this.#pad = graph.input('pad', 'int32', ['rows', site.kvHeads, queries + 2, 'row']);
    this.#unpad = graph.input('unpad', 'int32', ['tokens', queryHeadsOf(site)]);
    this.#mask = repeatRows(graph, graph.input('mask', 'float32', ['masks', 1, 'row', 'seen']), queries);
    this.#length = sizeOf(graph, this.#pad, 3);
    this.#virtual = new VirtualTokens(graph, site, prefix, length, sizeOf(graph, this.#pad, 0));
  }

  /** Packed queries, keys and values of N tokens to [N, queryHeads * headDim]. */
  attend(layer: number, qkv: Value): Value {
    const { graph, site } = this.model;
    const { kvHeads, headDim } = site;
    const queries = queriesPerKey(site);
    const pieces = graph.int64([-1, headDim]);
    const padded = graph.node('Gather', [graph.node('Reshape', [qkv, pieces]), this.#pad]);
    this.#shapes.push([qkv, [-1, (queries + 2) * kvHeads * headDim]]);
    const byHead = graph.int64([0, kvHeads, -1, headDim]);
    const split = graph.nodes('Split', [padded, graph.int64([queries, 1, 1])], 3, { axis: 2 });
    split.forEach((part, i) => this.#shapes.push([part, [-1, kvHeads, i === 0 ? queries : 1, this.#length, headDim]]));
    const [query, key, value] = split.map((part) => graph.node('Reshape', [part, byHead])) as [Value, Value, Value];
    for (const own of [key, value]) this.#shapes.push([own, [-1, kvHeads, this.#length, headDim]]);
    const kv = this.#virtual.before(layer, key, value);
    const attended = attention(graph, this.model.attentionScale(layer), [query, ...kv], this.#mask);
    const byToken = graph.node('Gather', [graph.node('Reshape', [attended, pieces]), this.#unpad]);
    return graph.node('Reshape', [byToken, graph.int64([-1, queryHeadsOf(site) * headDim])]);
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

/** Causal attention in one row of `length` tokens: queries, keys and values as of `splitQkv` to [length, queryHeads * headDim]. */
export function selfAttention(
  model: Transformer,
  layer: number,
  [query, key, value]: readonly [Value, Value, Value],
  length: number,
): Value {
  const { graph, site } = model;
  const { kvHeads, headDim } = site;
  const queries = queriesPerKey(site);
  const byHead = (packed: Value, shared: number): Value => {
    const tokens = graph.node('Reshape', [packed, graph.int64([1, length, kvHeads, shared, headDim])]);
    const heads = graph.node('Transpose', [tokens], { perm: [0, 2, 3, 1, 4] });
    return graph.node('Reshape', [heads, graph.int64([1, kvHeads, shared * length, headDim])]);
  };
  const mask = repeatRows(graph, causalMask(graph, length), queries);
  const inputs = [byHead(query, queries), byHead(key, 1), byHead(value, 1)] as const;
  const attended = attention(graph, model.attentionScale(layer), inputs, mask);
  const heads = graph.node('Reshape', [attended, graph.int64([1, kvHeads, queries, length, headDim])]);
  const byToken = graph.node('Transpose', [heads], { perm: [0, 3, 1, 2, 4] });
  return graph.node('Reshape', [byToken, graph.int64([-1, queryHeadsOf(site) * headDim])]);
}

/** A mask [masks, 1, T, S] for queries of several heads in one product: [masks, 1, times * T, S]. */
function repeatRows(graph: GraphBuilder, mask: Value, times: number): Value {
  return times === 1 ? mask : graph.node('Concat', Array<Value>(times).fill(mask), { axis: 2 });
}

/** [1, 1, length, length]: what stands behind a token is hidden from it. */
export function causalMask(graph: GraphBuilder, length: number): Value {
  const square = graph.node('Expand', [graph.float32(MASKED), graph.int64([1, 1, length, length])]);
  return graph.node('Trilu', [square, graph.int64(1)], { upper: 1 });
}

/** Added to a score to hide it from the softmax. Finite, so that no infinity is multiplied by zero. */
export const MASKED = -1e9;

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
