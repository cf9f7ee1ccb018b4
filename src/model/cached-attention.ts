import type { GraphBuilder, Value } from '../onnx/graph.js';
import { type AttentionSite, queryHeadsOf } from '../prefix/kv.js';
import { type AttentionGroup, kvName, nodeName } from './graph-names.js';
import type { KvPrecision } from './precision.js';

/** Attention of a model's layers at one site, over slots. */
export interface SlotAttention {
  readonly graph: GraphBuilder;
  readonly site: AttentionSite;
  /** Positions of a slot. */
  readonly positions: number;
  /** Type of the residual stream. */
  readonly activationType: KvPrecision;
  /** Factor of a layer's attention scores. */
  attentionScale(layer: number): number;
}

/** Attributes of a layer's attention node. */
export function attentionAttributes(
  model: Pick<SlotAttention, 'site' | 'attentionScale'>,
  layer: number,
): Record<string, number | { float: number }> {
  const { site } = model;
  return {
    num_heads: queryHeadsOf(site),
    kv_num_heads: site.kvHeads,
    scale: { float: model.attentionScale(layer) },
  };
}

/** Width of a site's queries, and of what they attend to. */
export function attendedWidth(site: AttentionSite): number {
  return queryHeadsOf(site) * site.headDim;
}

/** Shape of a layer's keys, or values, in some slots. */
export function slotsShape({ site, positions }: SlotAttention, group: AttentionGroup): (string | number)[] {
  return [group, site.kvHeads, positions, site.headDim];
}

/** A cast where one is needed. */
export function convert(graph: GraphBuilder, x: Value, from: KvPrecision, to: KvPrecision): Value {
  return from === to ? x : graph.cast(x, to);
}

/** Queries, with keys and values where those are not packed in them, and the past that is read. */
interface AttentionInputs {
  /** `[rows, tokens, attendedWidth(site)]`, or wider by keys and values behind them. */
  readonly query: Value;
  readonly key?: Value;
  readonly value?: Value;
  /** Keys and values of the slots; inputs of the graph unless given. */
  readonly past?: readonly Value[];
}

/** Attention over slots of the KV arena, which it updates in place: past and present are bound to the same memory. */
export class CachedAttention {
  readonly #name: string;
  readonly #lengths: Value;
  readonly #longest: Value;

  /**
   * @param activations type of what `attend` is given and returns
   * @param node index among the nodes of a group that has several
   */
  constructor(
    private readonly model: SlotAttention,
    private readonly group: AttentionGroup,
    private readonly kv: KvPrecision,
    private readonly activations: KvPrecision = model.activationType,
    node = 0,
  ) {
    this.#name = nodeName(group, node);
    this.#lengths = model.graph.input(`${this.#name}_lengths`, 'int32', [group]);
    this.#longest = model.graph.input(`${this.#name}_longest`, 'int32', [1]);
  }

  /** Keys and values of a layer as this node leaves them. */
  present(layer: number): readonly Value[] {
    return ([0, 1] as const).map((kv) => kvName('present', this.#name, layer, kv));
  }

  /** Returns `[rows * tokens, attendedWidth(site)]`. */
  attend(layer: number, { query, key, value, past = this.#past(layer) }: AttentionInputs): Value {
    const { graph, site } = this.model;
    const present = this.present(layer);
    const attended = `attended_${this.#name}_${layer}`;
    const inputs = [query, key, value].map((x) => x && convert(graph, x, this.activations, this.kv));
    graph.nodes(
      'com.microsoft:GroupQueryAttention',
      [...inputs, ...past, this.#lengths, this.#longest],
      [attended, ...present],
      attentionAttributes(this.model, layer),
    );
    for (const name of present) graph.output(name, this.kv, this.#shape);
    const result = convert(graph, attended, this.kv, this.activations);
    return graph.node('Reshape', [result, graph.int64([-1, attendedWidth(site)])]);
  }

  #past(layer: number): readonly Value[] {
    const { graph } = this.model;
    return ([0, 1] as const).map((kv) => graph.input(kvName('past', this.group, layer, kv), this.kv, this.#shape));
  }

  get #shape(): readonly (string | number)[] {
    return slotsShape(this.model, this.group);
  }
}

/**
 * Attention of up to `nodes` new tokens of each of several slots. The operator takes several new tokens behind a past for one slot
 * only, so a layer has one node for each token, and the past of a node is the present of the node before it. Every present is an
 * output of the graph, bound to the arena: the tokens are written in place, and in order. A row of fewer tokens begins with its
 * first one again and again, at the same position, so that its last token is in the last node.
 *
 * Inputs of node i, named after `nodeName('rows', i)`: `..._tokens` [rows, 1], the row's token as an index into the step's;
 * `..._lengths`, `..._longest` as in `CachedAttention`. And `order` [tokens]: where each token of the step is in `[nodes, rows]`.
 */
export class ChainedAttention {
  readonly #nodes: readonly { readonly tokens: Value; readonly attention: CachedAttention }[];
  readonly #order: Value;

  constructor(
    private readonly model: SlotAttention,
    kv: KvPrecision,
    nodes: number,
  ) {
    this.#nodes = Array.from({ length: nodes }, (_, node) => ({
      tokens: model.graph.input(`${nodeName('rows', node)}_tokens`, 'int64', ['rows', 1]),
      attention: new CachedAttention(model, 'rows', kv, model.activationType, node),
    }));
    this.#order = model.graph.input('order', 'int64', ['row_tokens']);
  }

  /** Packed queries, keys and values of `[tokens, ...]` to `[tokens, attendedWidth(site)]`. */
  attend(layer: number, qkv: Value): Value {
    const { graph } = this.model;
    const attended = this.#nodes.map(({ tokens, attention }, node) => {
      const before = this.#nodes[node - 1]?.attention.present(layer);
      return attention.attend(layer, { query: graph.node('Gather', [qkv, tokens]), ...(before && { past: before }) });
    });
    return graph.node('Gather', [graph.node('Concat', attended, { axis: 0 }), this.#order]);
  }
}
