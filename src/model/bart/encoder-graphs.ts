import { GraphBuilder, type Value } from '../../onnx/graph.js';
import { rowWidth } from '../../prefix/kv.js';
import type { GraphSource } from '../architecture.js';
import { convert } from '../cached-attention.js';
import { kvName } from '../graph-names.js';
import type { KvPrecision } from '../precision.js';
import type { BartConfig } from './config.js';
import { BartTransformer } from './transformer.js';

type Source = GraphSource<BartConfig>;

/** The graph of a stage of encoding a source: stage 0 to the number of encoder layers. `EncoderRun` runs them. */
export function encodeGraph(source: Source, stage: number): GraphBuilder {
  const model = new BartTransformer(new GraphBuilder(`encode-${stage}`), source);
  const hidden = stage === 0 ? embed(model) : encodeLayer(model, stage - 1);
  if (stage === source.config.encoder.layers) writeCross(model, source.kv, hidden);
  else writeNext(model, stage, hidden);
  return model.graph;
}

/**
 * Virtual tokens of the cross-attention, written into a source slot.
 * Inputs: `prefix` [virtual tokens, rowWidth(cross)] as PEFT writes it, and those of `SourceSlot`.
 */
export function appendCrossGraph(source: Source): GraphBuilder {
  const model = new BartTransformer(new GraphBuilder('append-cross'), source);
  const { graph, crossSite } = model;
  const blocks = 2 * crossSite.layers;
  const prefix = graph.input('prefix', 'float32', ['virtual', rowWidth(crossSite)]);
  const columns = graph.nodes('Split', [prefix], blocks, { axis: 1, num_outputs: blocks });
  const slot = new SourceSlot(model, source.kv);
  columns.forEach((rows, block) => slot.write(block >> 1, (block & 1) as 0 | 1, rows, 'float32'));
  return graph;
}

/** Inputs: `embeddings` [virtual tokens, width], which stand before the tokens `ids` [tokens], and the `positions` of both. */
function embed(model: BartTransformer): Value {
  const { graph, config, activationType } = model;
  const embeddings = graph.input('embeddings', 'float32', ['virtual', config.width]);
  const tokens = model.tokenEmbeddings(graph.input('ids', 'int64', ['tokens']));
  const all = graph.node('Concat', [convert(graph, embeddings, 'float32', activationType), tokens], { axis: 0 });
  return model.addPositions('encoder', all, graph.input('positions', 'int64', ['rows']));
}

/**
 * Inputs: `hidden` [rows, width], the layer's input for some rows; `keys` and `values` [1, attended, width] of all rows, behind those of
 * virtual tokens. Attention is computed in float32 whatever the weights are: on the CPU the operator has nothing else.
 */
function encodeLayer(model: BartTransformer, layer: number): Value {
  const { graph, config, activationType } = model;
  const input = graph.input('hidden', 'float32', ['rows', config.width]);
  const keyValue = ['keys', 'values'].map((name) => graph.input(name, 'float32', [1, 'attended', config.width]));
  const x = convert(graph, input, 'float32', activationType);
  const query = convert(graph, model.selfQuery('encoder', layer, x), activationType, 'float32');
  const batch = graph.node('Unsqueeze', [query, graph.int64([0])]);
  const attended = graph.node('com.microsoft:MultiHeadAttention', [batch, ...keyValue], {
    num_heads: config.encoder.heads,
    scale: { float: model.attentionScale('encoder') },
  });
  const rows = graph.node('Reshape', [attended, graph.int64([-1, config.width])]);
  const summed = model.afterSelf('encoder', layer, convert(graph, rows, 'float32', activationType), x);
  return model.mlp('encoder', layer, summed);
}

/** Outputs: `next_hidden`, `next_keys`, `next_values` [rows, width], what a layer reads for these rows. */
function writeNext(model: BartTransformer, layer: number, hidden: Value): void {
  const { graph, config, activationType } = model;
  const { key, value } = model.selfKeyValue('encoder', layer, hidden);
  for (const [name, x] of Object.entries({ next_hidden: hidden, next_keys: key, next_values: value })) {
    if (activationType === 'float32') graph.nodes('Identity', [x], [name]);
    else graph.cast(x, 'float32', name);
    graph.output(name, 'float32', ['rows', config.width]);
  }
}

/** Keys and values of every decoder layer's cross-attention, written into a source slot. Inputs: those of `SourceSlot`. */
function writeCross(model: BartTransformer, kv: KvPrecision, hidden: Value): void {
  const slot = new SourceSlot(model, kv);
  for (let layer = 0; layer < model.crossSite.layers; layer++) {
    const { key, value } = model.crossKeyValue(layer, hidden);
    slot.write(layer, 0, key, model.activationType);
    slot.write(layer, 1, value, model.activationType);
  }
}

/**
 * A source slot, updated in place: past and present are bound to the same memory, and so nothing is copied.
 * Inputs and outputs: those that `kvName` names for `cross`, [1, heads, positions, headDim]; and `offset` [1], the first row written.
 */
class SourceSlot {
  readonly #offset: Value;

  constructor(
    private readonly model: BartTransformer,
    private readonly kv: KvPrecision,
  ) {
    this.#offset = model.graph.input('offset', 'int64', [1]);
  }

  /** Writes rows `[rows, width]` of a layer's keys (0) or values (1). */
  write(layer: number, which: 0 | 1, rows: Value, type: KvPrecision): void {
    const { graph, crossSite } = this.model;
    const { kvHeads, headDim } = crossSite;
    const shape = [1, kvHeads, 'positions', headDim];
    const [past, present] = (['past', 'present'] as const).map((state) => kvName(state, 'cross', layer, which));
    const heads = graph.node('Reshape', [convert(graph, rows, type, this.kv), graph.int64([1, -1, kvHeads, headDim])]);
    const update = graph.node('Transpose', [heads], { perm: [0, 2, 1, 3] });
    const slot = graph.input(past as string, this.kv, shape);
    graph.nodes('TensorScatter', [slot, update, this.#offset], [present as string]);
    graph.output(present as string, this.kv, shape);
  }
}
