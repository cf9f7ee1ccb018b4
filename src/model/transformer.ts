import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { AttentionSite } from '../prefix/kv.js';

/**
 * `fused`: with ONNX Runtime's own operators, for speed. `differentiable`: the same function of operators that `src/onnx/autodiff` has
 * rules for.
 */
export type TransformerForm = 'fused' | 'differentiable';

/** The parts of a decoder-only model, written into a graph. Activations are `[tokens, width]`: rows of many sequences, packed. */
export interface Transformer {
  readonly graph: GraphBuilder;
  /** The site of the layers' attention. */
  readonly site: AttentionSite;
  /** Token ids `[tokens]` and positions `[tokens]` to the residual stream `[tokens, width]`. */
  embed(ids: Value, positions: Value): Value;
  /** Input embeddings `[tokens, width]` at positions `[tokens]` to the residual stream. */
  addPositions(embeddings: Value, positions: Value): Value;
  /**
   * The layers over the residual stream. `attend` gets a layer's index and its packed queries, keys and values
   * `[tokens, 3 * width]`, and returns `[tokens, width]`. After the last attention only the tokens at indices `keep` go on.
   * Returns the final hidden states `[keep, width]`.
   */
  layers(embedded: Value, keep: Value, attend: (layer: number, qkv: Value) => Value): Value;
  /** The head's matrix, `[vocabulary, width]`. */
  headMatrix(): Value;
  /** Factor of a layer's attention scores. */
  attentionScale(layer: number): number;
}
