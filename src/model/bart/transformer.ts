import type { GraphBuilder, Value } from '../../onnx/graph.js';
import { type AttentionSite, CROSS, DECODER, ENCODER } from '../../prefix/kv.js';
import { activate } from '../activations.js';
import { HEAD_WEIGHT, type WeightSource } from '../architecture.js';
import type { Attend, EncoderDecoder, Projections, Side } from '../encoder-decoder.js';
import type { TransformerForm } from '../transformer.js';
import { WeightNodes } from '../weight-nodes.js';
import { type BartConfig, siteOf } from './config.js';
import { EMBEDDINGS, LOGITS_BIAS, POSITION_OFFSET } from './weights.js';

const EPSILON = { epsilon: { float: 1e-5 } };

/** Writes the parts of a BART into a graph. Norms follow each sum, and the residual stream is what they return. */
export class BartTransformer implements EncoderDecoder {
  readonly config: BartConfig;
  readonly encoderSite: AttentionSite;
  readonly decoderSite: AttentionSite;
  readonly crossSite: AttentionSite;
  readonly #weights: WeightNodes;

  constructor(
    readonly graph: GraphBuilder,
    source: WeightSource<BartConfig>,
    private readonly form: TransformerForm = 'fused',
  ) {
    const { config } = source;
    this.config = config;
    this.encoderSite = siteOf(config, ENCODER);
    this.decoderSite = siteOf(config, DECODER);
    this.crossSite = siteOf(config, CROSS);
    this.#weights = new WeightNodes(graph, source);
  }

  get activationType(): 'float32' | 'float16' {
    return this.#weights.activationType(EMBEDDINGS);
  }

  attentionScale(side: Side): number {
    return 1 / Math.sqrt(this.config.width / this.config[side].heads);
  }

  tokenEmbeddings(ids: Value): Value {
    const { width, scaleEmbedding } = this.config;
    const embeddings = this.graph.node('Gather', [this.#weights.weight(EMBEDDINGS), ids]);
    if (!scaleEmbedding) return embeddings;
    const scale = this.graph.float32(Math.sqrt(width));
    const isFloat32 = this.activationType === 'float32';
    return this.graph.node('Mul', [embeddings, isFloat32 ? scale : this.graph.cast(scale, 'float16')]);
  }

  addPositions(side: Side, embeddings: Value, positions: Value): Value {
    const { graph } = this;
    const rows = graph.node('Add', [graph.cast(positions, 'int64'), graph.int64([POSITION_OFFSET])]);
    const table = this.#weights.weight(`${side}.embed_positions.weight`);
    return this.#addAndNorm(graph.node('Gather', [table, rows]), embeddings, `${side}.layernorm_embedding`);
  }

  selfProjections(side: Side, layer: number, x: Value): Projections {
    return { query: this.selfQuery(side, layer, x), ...this.selfKeyValue(side, layer, x) };
  }

  selfQuery(side: Side, layer: number, x: Value): Value {
    return this.#linear(x, `${side}.layers.${layer}.self_attn.q_proj`);
  }

  selfKeyValue(side: Side, layer: number, x: Value): Omit<Projections, 'query'> {
    return this.#keyValue(`${side}.layers.${layer}.self_attn`, x);
  }

  crossQuery(layer: number, x: Value): Value {
    return this.#linear(x, `decoder.layers.${layer}.encoder_attn.q_proj`);
  }

  crossKeyValue(layer: number, encoded: Value): Omit<Projections, 'query'> {
    return this.#keyValue(`decoder.layers.${layer}.encoder_attn`, encoded);
  }

  afterSelf(side: Side, layer: number, attended: Value, x: Value): Value {
    return this.#afterAttention(`${side}.layers.${layer}.self_attn`, attended, x);
  }

  afterCross(layer: number, attended: Value, x: Value): Value {
    return this.#afterAttention(`decoder.layers.${layer}.encoder_attn`, attended, x);
  }

  mlp(side: Side, layer: number, x: Value): Value {
    const { activation, [side]: own } = this.config;
    const h = `${side}.layers.${layer}`;
    const inner = activate(this.graph, activation, this.#linear(x, `${h}.fc1`));
    return this.#addAndNorm(this.#linear(inner, `${h}.fc2`, own.inner), x, `${h}.final_layer_norm`);
  }

  encode(embedded: Value, attend: Attend<Projections>): Value {
    let x = embedded;
    for (let layer = 0; layer < this.config.encoder.layers; layer++) {
      const attended = attend(layer, this.selfProjections('encoder', layer, x));
      x = this.mlp('encoder', layer, this.afterSelf('encoder', layer, attended, x));
    }
    return x;
  }

  decode(embedded: Value, keep: Value, attend: Attend<Projections>, attendCross: Attend<Value>): Value {
    const { layers } = this.config.decoder;
    let x = embedded;
    for (let layer = 0; layer < layers; layer++) {
      x = this.afterSelf('decoder', layer, attend(layer, this.selfProjections('decoder', layer, x)), x);
      let attended = attendCross(layer, this.crossQuery(layer, x));
      if (layer === layers - 1) {
        attended = this.graph.node('Gather', [attended, keep]);
        x = this.graph.node('Gather', [x, keep]);
      }
      x = this.mlp('decoder', layer, this.afterCross(layer, attended, x));
    }
    return x;
  }

  headMatrix(): Value {
    return this.#weights.weight(this.#headMatrix);
  }

  headBias(): Value {
    return this.#weights.weight(LOGITS_BIAS);
  }

  /** Hidden states `[rows, width]` to float32 logits `[rows, vocabulary]`, under the name `output`. */
  head(hidden: Value, output: Value): void {
    this.#weights.head(hidden, { matrix: this.#headMatrix, bias: LOGITS_BIAS, inputs: this.config.width }, output);
  }

  get #headMatrix(): string {
    return this.config.ownHead ? HEAD_WEIGHT : EMBEDDINGS;
  }

  #keyValue(attention: string, x: Value): Omit<Projections, 'query'> {
    return { key: this.#linear(x, `${attention}.k_proj`), value: this.#linear(x, `${attention}.v_proj`) };
  }

  #afterAttention(attention: string, attended: Value, x: Value): Value {
    return this.#addAndNorm(this.#linear(attended, `${attention}.out_proj`), x, `${attention}_layer_norm`);
  }

  /** `x @ weight.T + bias`; `x` is `[tokens, inputs]`. */
  #linear(x: Value, name: string, inputs = this.config.width): Value {
    const bias = `${name}.bias`;
    if (this.#weights.isQuantized(name)) return this.#weights.quantizedProduct(x, name, inputs, bias);
    const operands = [x, this.#weights.weight(`${name}.weight`), this.#weights.weight(bias)];
    return this.graph.node('Gemm', operands, { transB: 1 });
  }

  /** The norm of the sum of a sublayer's output and the residual stream. */
  #addAndNorm(x: Value, residual: Value, norm: string): Value {
    const vectors = [this.#weights.weight(`${norm}.weight`), this.#weights.weight(`${norm}.bias`)];
    if (this.form === 'differentiable') {
      const sum = this.graph.node('Add', [x, residual]);
      // The derivative needs mean and 1 / deviation too.
      return this.graph.nodes('LayerNormalization', [sum, ...vectors], 3, EPSILON)[0] as Value;
    }
    return this.graph.node('com.microsoft:SkipLayerNormalization', [x, residual, ...vectors], EPSILON);
  }
}
