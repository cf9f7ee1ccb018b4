import type { EncoderDecoder, Projections, Side } from '../../model/encoder-decoder.js';
import type { Known } from '../../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import type { AttentionSite } from '../../prefix/kv.js';
import type { RowSet } from '../method.js';
import { attention, sizeOf, VirtualTokens } from './attention.js';
import { PaddedRows } from './padded-rows.js';
import type { Parameters } from './parameters.js';

/** Trained rows of an encoder-decoder. */
export interface TrainedRows {
  readonly parameters: Parameters;
  readonly sets: readonly RowSet[];
}

/** Writes the attention at one site: packed queries, keys and values to packed rows. */
type SiteAttention = (layer: number, inputs: Projections) => Value;

/** The attention at each site, to virtual tokens where rows are trained, and to what the graph's masks allow. */
export interface SiteAttentions {
  readonly encoder: SiteAttention;
  readonly decoder: SiteAttention;
  readonly cross: SiteAttention;
  /** Indices that take gradients back through padding and unpadding, and shapes of what was written; called once all is written. */
  known(): Required<Known>;
}

export function siteAttentions(model: EncoderDecoder, { parameters, sets }: TrainedRows): SiteAttentions {
  const { graph, encoderSite, decoderSite, crossSite } = model;
  const encoder = new PaddedRows(graph, 'encoder', encoderSite);
  const source = new PaddedRows(graph, 'source', crossSite);
  const target = new PaddedRows(graph, 'target', decoderSite);
  const padded = [encoder, source, target];
  const virtuals: VirtualTokens[] = [];
  const rows = sizeOf(graph, target.indices, 0);
  const at = (site: AttentionSite, side: Side, queries: PaddedRows, keys: PaddedRows): SiteAttention => {
    const set = sets.find((one) => one.site === site.name);
    const virtual = set && new VirtualTokens(graph, site, parameters.rows(set), set.length, rows);
    if (virtual !== undefined) virtuals.push(virtual);
    const mask = graph.input(`${site.name}_mask`, 'float32', maskDims(site.name));
    return attend(graph, { scale: model.attentionScale(side), virtual, mask, queries, keys });
  };
  return {
    encoder: at(encoderSite, 'encoder', encoder, encoder),
    decoder: at(decoderSite, 'decoder', target, target),
    cross: at(crossSite, 'decoder', target, source),
    known: () => ({
      inverses: new Map(padded.flatMap((rows) => rows.inverses())),
      shapes: new Map([...padded, ...virtuals].flatMap(({ shapes }) => shapes)),
    }),
  };
}

/** All that varies between runs: a mask is broadcast where its dimension is 1. */
function maskDims(name: string): string[] {
  return ['rows', 'heads', 'queries', 'keys'].map((dim) => `${name}_mask_${dim}`);
}

interface Site {
  readonly scale: number;
  readonly virtual: VirtualTokens | undefined;
  readonly mask: Value;
  readonly queries: PaddedRows;
  readonly keys: PaddedRows;
}

function attend(graph: GraphBuilder, { scale, virtual, mask, queries, keys }: Site): SiteAttention {
  return (layer, { query, key, value }) => {
    const own: [Value, Value] = [keys.pad(key), keys.pad(value)];
    const kv = virtual?.before(layer, ...own) ?? own;
    return queries.unpad(attention(graph, scale, [queries.pad(query), ...kv], mask));
  };
}
