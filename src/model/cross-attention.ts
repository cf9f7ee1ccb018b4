import type { Value } from '../onnx/graph.js';
import { attentionAttributes, convert, type SlotAttention, slotsShape } from './cached-attention.js';
import { kvName } from './graph-names.js';
import type { KvPrecision } from './precision.js';

/** How cross-attention is computed: by ONNX Runtime's own operator, or by products and a softmax over whole slots. */
export type CrossForm = 'fused' | 'plain';

/**
 * Attention of any number of tokens to source slots, which it does not change.
 *
 * Inputs: `grid` [slots, queries], tokens by the source slot that they attend to, as indices into the step's; places that are left over
 * hold any. `ungrid` [tokens], where each token is in the grid. `cross_lengths` [slots], each slot's length minus 1; and the slots' keys
 * and values. Fused also: `cross_longest` [1], the longest length, but the number of queries where they are several; the slots again as
 * outputs.
 */
export class CrossAttention {
  readonly #grid: Value;
  readonly #ungrid: Value;
  readonly #lengths: Value;
  readonly #longest: Value | undefined;

  constructor(
    private readonly model: SlotAttention,
    private readonly kv: KvPrecision,
    form: CrossForm,
  ) {
    const { graph } = model;
    this.#grid = graph.input('grid', 'int64', ['cross', 'queries']);
    this.#ungrid = graph.input('ungrid', 'int64', ['tokens']);
    this.#lengths = graph.input('cross_lengths', 'int32', ['cross']);
    this.#longest = form === 'fused' ? graph.input('cross_longest', 'int32', [1]) : undefined;
  }

  /** Queries `[tokens, width]` of a layer to `[tokens, width]`. */
  attend(layer: number, queries: Value): Value {
    const { graph, site } = this.model;
    const grid = graph.node('Gather', [queries, this.#grid]); // [slots, queries, width]
    const shape = slotsShape(this.model, 'cross');
    const past = ([0, 1] as const).map((kv) => graph.input(kvName('past', 'cross', layer, kv), this.kv, shape));
    const attended =
      this.#longest === undefined ? this.#plain(layer, grid, past) : this.#fused(layer, grid, past, this.#longest);
    const rows = graph.node('Reshape', [attended, graph.int64([-1, site.kvHeads * site.headDim])]);
    return graph.node('Gather', [rows, this.#ungrid]);
  }

  /** The operator appends to a cache: here nothing, keys and values of length 0. And so it attends to what is there. */
  #fused(layer: number, grid: Value, past: readonly Value[], longest: Value): Value {
    const { graph, activationType } = this.model;
    const query = convert(graph, grid, activationType, this.kv);
    const nothing = graph.node('Slice', [query, graph.int64([0]), graph.int64([0]), graph.int64([1])]);
    const attended = `attended_cross_${layer}`;
    const present = ([0, 1] as const).map((kv) => kvName('present', 'cross', layer, kv));
    const inputs = [query, nothing, nothing, ...past, this.#lengths, longest];
    const attributes = { ...attentionAttributes(this.model, layer), causal: 0 };
    graph.nodes('com.microsoft:GroupQueryAttention', inputs, [attended, ...present], attributes);
    for (const name of present) graph.output(name, this.kv, slotsShape(this.model, 'cross'));
    return convert(graph, attended, this.kv, activationType);
  }

  /** What lies behind a length may be anything, be it no number: it is hidden from the softmax and from the sum. */
  #plain(layer: number, grid: Value, past: readonly Value[]): Value {
    const { graph, site, positions, activationType } = this.model;
    const byHead = graph.node('Reshape', [
      convert(graph, grid, activationType, 'float32'),
      graph.int64([0, 0, site.kvHeads, site.headDim]),
    ]);
    const query = graph.node('Transpose', [byHead], { perm: [0, 2, 1, 3] });
    const place = graph.node('Range', [graph.int64(0), graph.int64(positions), graph.int64(1)]);
    const lengths = graph.node('Unsqueeze', [graph.cast(this.#lengths, 'int64'), graph.int64([1])]);
    const seen = graph.node('LessOrEqual', [place, lengths]); // [slots, positions]
    const seenRows = graph.node('Unsqueeze', [seen, graph.int64([1, 3])]);
    const [key, value] = past.map((rows) =>
      graph.node('Where', [seenRows, convert(graph, rows, this.kv, 'float32'), graph.float32(0)]),
    ) as [Value, Value];
    const alpha = { float: this.model.attentionScale(layer) };
    const scores = graph.node('com.microsoft:FusedMatMul', [query, key], { transB: 1, alpha });
    const hidden = graph.node('Where', [
      graph.node('Unsqueeze', [seen, graph.int64([1, 2])]),
      scores,
      graph.float32(HIDDEN),
    ]);
    const attended = graph.node('MatMul', [graph.node('Softmax', [hidden], { axis: -1 }), value]);
    return convert(graph, graph.node('Transpose', [attended], { perm: [0, 2, 1, 3] }), 'float32', activationType);
  }
}

/** A score that the softmax makes 0. */
const HIDDEN = -1e30;
