import type { Gpt2Config } from '#src/model/gpt2/config.js';
import { Gpt2Transformer } from '#src/model/gpt2/transformer.js';
import type { WeightSpan } from '#src/model/weights.js';
import { GraphBuilder, type Value } from '#src/onnx/graph.js';

/** A layer's keys (0) or values (1), as they go in and come out. */
export function cacheName(state: 'past' | 'present', layer: number, kv: 0 | 1): string {
  return `${state}_${layer}_${kv === 0 ? 'key' : 'value'}`;
}

/**
 * A GPT-2 as exporters write it: attention of plain operators, keys and values in and out of the graph, longer by Concat.
 * All else is as in Preamble's own graphs, and greedy choice is inside, so that what differs is the cache.
 * Inputs: `ids`, `positions` [rows * tokens]; `layout` = [rows, tokens, 3 * heads, headDim]; `keep` [rows], each row's last token;
 * `mask` [tokens, past + tokens], added to scores; `past_...` [rows, heads, past, headDim]. Outputs: `next_ids` [rows], `present_...`.
 */
export function concatGraph(config: Gpt2Config, weights: readonly WeightSpan[], weightsFile: string): GraphBuilder {
  const graph = new GraphBuilder('concat');
  const model = new Gpt2Transformer(graph, { config, weights, weightsFile });
  const ids = graph.input('ids', 'int64', ['tokens']);
  const positions = graph.input('positions', 'int64', ['tokens']);
  const layout = graph.input('layout', 'int64', [4]);
  const keep = graph.input('keep', 'int64', ['rows']);
  const mask = graph.input('mask', 'float32', ['length', 'total']);
  const embedded = model.embed(ids, positions);
  const hidden = model.layers({ embedded, positions, keep }, (layer, qkv) => {
    const byHead = graph.node('Transpose', [graph.node('Reshape', [qkv, layout])], { perm: [0, 2, 1, 3] });
    const [query, key, value] = graph.nodes('Split', [byHead], 3, { axis: 1, num_outputs: 3 }) as [Value, Value, Value];
    const keys = grow(graph, config, layer, 0, key);
    const values = grow(graph, config, layer, 1, value);
    const scores = graph.node('MatMul', [query, graph.node('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
    const scaled = graph.node('Mul', [scores, graph.float32(model.attentionScale(layer))]);
    const weights = graph.node('Softmax', [graph.node('Add', [scaled, mask])], { axis: -1 });
    const attended = graph.node('Transpose', [graph.node('MatMul', [weights, values])], { perm: [0, 2, 1, 3] });
    return graph.node('Reshape', [attended, graph.int64([-1, config.width])]);
  });
  model.head(hidden, 'logits');
  graph.nodes('ArgMax', ['logits'], ['next_ids'], { axis: 1, keepdims: 0 });
  graph.output('next_ids', 'int64', ['rows']);
  return graph;
}

/** A layer's keys or values with those of this step after them. */
function grow(graph: GraphBuilder, { heads, width }: Gpt2Config, layer: number, kv: 0 | 1, added: Value): Value {
  const shape = (length: string): (string | number)[] => ['rows', heads, length, width / heads];
  const past = graph.input(cacheName('past', layer, kv), 'float32', shape('past'));
  const present = cacheName('present', layer, kv);
  graph.nodes('Concat', [past, added], [present], { axis: 2 });
  graph.output(present, 'float32', shape('total'));
  return present;
}
