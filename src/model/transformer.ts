import type { Size } from '../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { AttentionSite } from '../prefix/kv.js';

/**
 * `fused`: with ONNX Runtime's own operators, for speed. `differentiable`: the same function of operators that `src/onnx/autodiff` has
 * rules for.
 */
export type TransformerForm = 'fused' | 'differentiable';

/** Tokens, packed, as the layers get them. */
export interface LayerInputs {
  /** The residual stream, `[tokens, width]`. */
  readonly embedded: Value;
  /** `[tokens]`, for layers that turn queries and keys by them. */
  readonly positions: Value;
  /** Indices of the tokens that go on after the last attention. */
  readonly keep: Value;
}

/** The parts of a decoder-only model, written into a graph. Activations are `[tokens, width]`: rows of many sequences, packed. */
export interface Transformer {
  readonly graph: GraphBuilder;
  /** The site of the layers' attention. */
  readonly site: AttentionSite;
  /** Token ids `[tokens]` and positions `[tokens]` to the residual stream `[tokens, width]`. */
  embed(ids: Value, positions: Value): Value;
  /** Input embeddings `[tokens, width]` at positions `[tokens]` to the residual stream; the same, where only the layers know positions. */
  addPositions(embeddings: Value, positions: Value): Value;
  /**
   * The layers over the residual stream. `attend` gets a layer's index and its packed queries, keys and values, `[tokens, (queryHeads +
   * 2 * kvHeads) * headDim]`, as they are attended to, and returns `[tokens, queryHeads * headDim]`. Returns the final hidden states
   * `[keep, width]`.
   */
  layers(inputs: LayerInputs, attend: (layer: number, qkv: Value) => Value): Value;
  /** Shapes of values that `layers` has written, for training: those that are known are not kept in memory for theirs. */
  readonly shapes?: readonly [Value, readonly Size[]][];
  /** The head's matrix, `[vocabulary, width]`. */
  headMatrix(): Value;
  /** Factor of a layer's attention scores. */
  attentionScale(layer: number): number;
}
