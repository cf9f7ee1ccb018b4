import type { EncoderDecoder, Projections, Side } from '../../model/encoder-decoder.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import { type AttentionSite, CROSS, DECODER, ENCODER, rowWidth } from '../../prefix/kv.js';
import { attention, causalMask } from './attention.js';

/**
 * Keys and values that an encoder-decoder computes for a text of `length` tokens that both sides read, from position 0 on.
 * Inputs: `ids`, `positions` [length]. Outputs: [length, rowWidth(site)] under the name of each site.
 */
export function writeWordsGraph(model: EncoderDecoder, length: number): void {
  const { graph, encoderSite, decoderSite, crossSite } = model;
  const [ids, positions] = ['ids', 'positions'].map((name) => graph.input(name, 'int32', [length])) as [Value, Value];
  const embed = (side: Side): Value => model.addPositions(side, model.tokenEmbeddings(ids), positions);
  const blocks: Record<string, Value[]> = { [ENCODER]: [], [DECODER]: [], [CROSS]: [] };
  const causal = causalMask(graph, length);
  const attend =
    (site: AttentionSite, side: Side, mask?: Value) =>
    (_layer: number, inputs: Projections): Value => {
      blocks[site.name]?.push(inputs.key, inputs.value);
      return rowAttention(graph, site, model.attentionScale(side), inputs, mask);
    };
  const encoded = model.encode(embed('encoder'), attend(encoderSite, 'encoder'));
  const cross = attend(crossSite, 'decoder');
  // Of the decoder's output nothing is needed.
  model.decode(embed('decoder'), graph.int64([0]), attend(decoderSite, 'decoder', causal), (layer, query) =>
    cross(layer, { query, ...model.crossKeyValue(layer, encoded) }),
  );
  for (const site of [encoderSite, decoderSite, crossSite]) {
    graph.nodes('Concat', blocks[site.name] as Value[], [site.name], { axis: 1 });
    graph.output(site.name, 'float32', [length, rowWidth(site)]);
  }
}

/** Attention of one row's tokens: [tokens, width] each to [tokens, width]. */
function rowAttention(
  graph: GraphBuilder,
  { kvHeads, headDim }: AttentionSite,
  scale: number,
  { query, key, value }: Projections,
  mask: Value | undefined,
): Value {
  const byHead = (packed: Value): Value =>
    graph.node('Transpose', [graph.node('Reshape', [packed, graph.int64([1, -1, kvHeads, headDim])])], {
      perm: [0, 2, 1, 3],
    });
  const attended = attention(graph, scale, [byHead(query), byHead(key), byHead(value)], mask);
  const byToken = graph.node('Transpose', [attended], { perm: [0, 2, 1, 3] });
  return graph.node('Reshape', [byToken, graph.int64([-1, kvHeads * headDim])]);
}
