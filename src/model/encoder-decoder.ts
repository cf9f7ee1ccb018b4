import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { AttentionSite } from '../prefix/kv.js';

/** A side of an encoder-decoder. */
export type Side = 'encoder' | 'decoder';

/** Queries, keys and values, `[tokens, width]` each. */
export interface Projections {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** Writes an attention: gets a layer's index and its projections, returns `[tokens, width]`. */
export type Attend<Inputs> = (layer: number, inputs: Inputs) => Value;

/**
 * The parts of an encoder-decoder, written into a graph. Activations are `[tokens, width]`: rows of many sequences, packed. The pieces
 * of a layer are apart, because what computes sources in pieces needs them so.
 */
export interface EncoderDecoder {
  readonly graph: GraphBuilder;
  readonly encoderSite: AttentionSite;
  readonly decoderSite: AttentionSite;
  readonly crossSite: AttentionSite;
  /** Type of the residual stream and of everything computed from it. */
  readonly activationType: 'float32' | 'float16';
  /** Factor of a side's attention scores: the decoder's at both of its sites. */
  attentionScale(side: Side): number;
  /** Token ids `[tokens]` to input embeddings `[tokens, width]`, scaled where the model does so. */
  tokenEmbeddings(ids: Value): Value;
  /** Input embeddings `[tokens, width]` at positions `[tokens]` to the residual stream of a side. */
  addPositions(side: Side, embeddings: Value, positions: Value): Value;
  /** Queries, keys and values of a layer's self-attention. */
  selfProjections(side: Side, layer: number, x: Value): Projections;
  /** Keys and values of a layer's self-attention: those of `selfProjections`, where its queries are not needed. */
  selfKeyValue(side: Side, layer: number, x: Value): Omit<Projections, 'query'>;
  /** Queries of a layer's self-attention. */
  selfQuery(side: Side, layer: number, x: Value): Value;
  /** Queries of a decoder layer's cross-attention. */
  crossQuery(layer: number, x: Value): Value;
  /** Keys and values of a decoder layer's cross-attention, of the encoder's output. */
  crossKeyValue(layer: number, encoded: Value): Omit<Projections, 'query'>;
  /** What follows a layer's self-attention: its output projection, added to `x`, and the norm. */
  afterSelf(side: Side, layer: number, attended: Value, x: Value): Value;
  /** The same of a decoder layer's cross-attention. */
  afterCross(layer: number, attended: Value, x: Value): Value;
  /** A layer's MLP, added to `x`, and the norm: the input of the next layer. */
  mlp(side: Side, layer: number, x: Value): Value;
  /** All of the encoder's layers; returns its output. */
  encode(embedded: Value, attend: Attend<Projections>): Value;
  /**
   * All of the decoder's layers: `attend` writes self-attention, `attendCross` gets the queries of cross-attention. After the last
   * attention only the tokens at indices `keep` go on. Returns the final hidden states `[keep, width]`.
   */
  decode(embedded: Value, keep: Value, attend: Attend<Projections>, attendCross: Attend<Value>): Value;
  /** The head's matrix, `[vocabulary, width]`. */
  headMatrix(): Value;
  /** What the head adds to the logits, `[vocabulary]`. */
  headBias(): Value;
}
