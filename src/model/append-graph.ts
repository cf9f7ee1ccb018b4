import { rowWidth } from '../prefix/kv.js';
import type { Value } from '../onnx/graph.js';
import { CachedAttention, convert, type SlotAttention } from './cached-attention.js';
import type { KvPrecision } from './precision.js';

/**
 * Writes virtual tokens into a slot. Inputs: `prefix` [virtual tokens, rowWidth(site)] as PEFT writes it, and the slot's lengths.
 * There is no weight in it: attention's own cache update does the work, its output goes nowhere.
 */
export function writeAppend(model: SlotAttention, kv: KvPrecision): void {
  const { graph, site } = model;
  const prefix = graph.input('prefix', 'float32', ['virtual', rowWidth(site)]);
  const stored = convert(graph, prefix, 'float32', kv);
  const batch = graph.node('Unsqueeze', [stored, graph.int64([0])]); // [1, virtual, rowWidth(site)]
  const blocks = graph.nodes('Split', [batch], site.layers * 2, { axis: 2, num_outputs: site.layers * 2 });
  const { positions, activationType } = model;
  const { queryHeads: _queries, ...ownHeads } = site;
  const attentionScale = (layer: number): number => model.attentionScale(layer);
  const keysOnly: SlotAttention = { graph, site: ownHeads, positions, activationType, attentionScale };
  const attention = new CachedAttention(keysOnly, 'rows', kv, kv);
  for (let layer = 0; layer < site.layers; layer++) {
    const [key, value] = blocks.slice(2 * layer, 2 * layer + 2) as [Value, Value];
    attention.attend(layer, { query: key, key, value }); // any query will do, and keys are there
  }
}
