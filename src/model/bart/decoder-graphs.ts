import { GraphBuilder, type Value } from '../../onnx/graph.js';
import { writeAppend } from '../append-graph.js';
import type { GraphSource } from '../architecture.js';
import { CachedAttention, type SlotAttention } from '../cached-attention.js';
import { CrossAttention, type CrossForm } from '../cross-attention.js';
import type { Attend, Projections } from '../encoder-decoder.js';
import { writeLogits } from '../logits-head.js';
import { slotPositions } from '../slot-positions.js';
import { type BartConfig, shapeOf } from './config.js';
import { BartTransformer } from './transformer.js';

type Source = GraphSource<BartConfig>;

/**
 * One forward pass of the decoder over rows of equal length: one token each of many sequences, or a chunk of one. Inputs: `ids`,
 * `positions` [tokens]; `shape` = [rows, tokens per row, -1]; `rows_lengths` [rows], length of each row after this step, minus 1;
 * `rows_longest` [1], the longest, not minus 1; `keep` [kept], the tokens whose logits are wanted; those of `CrossAttention` and of
 * the head. More than one token per row is for one row only: a limit of the operator when there is a past.
 */
export function uniformGraph(source: Source, form: CrossForm): GraphBuilder {
  const model = new BartTransformer(new GraphBuilder('uniform'), source);
  const { graph } = model;
  const shape = graph.input('shape', 'int64', [3]);
  const rows = new CachedAttention(attentionAt(model, 'decoder'), 'rows', source.kv);
  const inRows = (x: Value): Value => graph.node('Reshape', [x, shape]);
  writeDecoder(model, source, form, (layer, { query, key, value }) =>
    rows.attend(layer, { query: inRows(query), key: inRows(key), value: inRows(value) }),
  );
  return graph;
}

/**
 * One forward pass over one token each of many sequences and a chunk of another one: all tokens packed, rows first. Inputs as
 * `uniformGraph`'s, but `split` = [rows, tokens of the chunk] for `shape`; `chunk_lengths`, `chunk_longest` [1].
 */
export function mixedGraph(source: Source, form: CrossForm): GraphBuilder {
  const model = new BartTransformer(new GraphBuilder('mixed'), source);
  const { graph } = model;
  const split = graph.input('split', 'int64', [2]);
  const site = attentionAt(model, 'decoder');
  const rows = new CachedAttention(site, 'rows', source.kv);
  const chunk = new CachedAttention(site, 'chunk', source.kv);
  const parts = (x: Value): [Value, Value] => {
    const [ofRows, ofChunk] = graph.nodes('Split', [x, split], 2, { axis: 0 }) as [Value, Value];
    return [graph.node('Unsqueeze', [ofRows, graph.int64([1])]), graph.node('Unsqueeze', [ofChunk, graph.int64([0])])];
  };
  writeDecoder(model, source, form, (layer, { query, key, value }) => {
    const [queries, keys, values] = [parts(query), parts(key), parts(value)];
    const attended = [rows, chunk].map((attention, part) =>
      attention.attend(layer, {
        query: queries[part] as Value,
        key: keys[part] as Value,
        value: values[part] as Value,
      }),
    );
    return graph.node('Concat', attended, { axis: 0 });
  });
  return graph;
}

/** Virtual tokens of the decoder's self-attention, written into a slot. */
export function appendGraph(source: Source): GraphBuilder {
  const model = new BartTransformer(new GraphBuilder('append'), source);
  writeAppend(attentionAt(model, 'decoder'), source.kv);
  return model.graph;
}

function writeDecoder(
  model: BartTransformer,
  { kv, target }: Source,
  form: CrossForm,
  attend: Attend<Projections>,
): void {
  const { graph, config } = model;
  const cross = new CrossAttention(attentionAt(model, 'cross'), kv, form);
  const embedded = model.addPositions(
    'decoder',
    model.tokenEmbeddings(graph.input('ids', 'int64', ['tokens'])),
    graph.input('positions', 'int64', ['tokens']),
  );
  const keep = graph.input('keep', 'int64', ['kept']);
  const hidden = model.decode(embedded, keep, attend, (layer, query) => cross.attend(layer, query));
  const head = (x: Value, output: Value): void => model.head(x, output);
  writeLogits({ graph, vocabularySize: config.vocabularySize, head }, hidden, target);
}

/** The decoder's attention at one of its sites. */
function attentionAt(model: BartTransformer, name: 'decoder' | 'cross'): SlotAttention {
  const { graph, activationType, config } = model;
  const site = name === 'decoder' ? model.decoderSite : model.crossSite;
  const attentionScale = (): number => model.attentionScale('decoder');
  return { graph, site, positions: slotPositions(shapeOf(config))[name], activationType, attentionScale };
}
