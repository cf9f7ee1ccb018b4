import type { GraphBuilder, Value } from '../../onnx/graph.js';
import type { AttentionSite } from '../../prefix/kv.js';
import { HEAD_WEIGHT, type WeightSource } from '../architecture.js';
import type { StepTransformer } from '../decoder-graphs.js';
import type { LayerInputs, TransformerForm } from '../transformer.js';
import { activate } from '../activations.js';
import { WeightNodes } from '../weight-nodes.js';
import { type Gpt2Config, siteOf } from './config.js';
import { compiledInner } from './weights.js';

/** Writes the parts of a GPT-2 into a graph. */
export class Gpt2Transformer implements StepTransformer {
  readonly config: Gpt2Config;
  readonly site: AttentionSite;
  /** Positions of a slot. */
  readonly positions: number;
  readonly #weights: WeightNodes;

  constructor(
    readonly graph: GraphBuilder,
    source: WeightSource<Gpt2Config>,
    private readonly form: TransformerForm = 'fused',
  ) {
    this.config = source.config;
    this.site = siteOf(source.config);
    this.positions = source.positions ?? source.config.contextLength;
    this.#weights = new WeightNodes(graph, source);
  }

  /** Type of the residual stream and of everything computed from it: that of the weights. */
  get activationType(): 'float32' | 'float16' {
    return this.#weights.activationType('wte.weight');
  }

  get width(): number {
    return this.config.width;
  }

  get vocabularySize(): number {
    return this.config.vocabularySize;
  }

  embed(ids: Value, positions: Value): Value {
    return this.addPositions(this.graph.node('Gather', [this.#weights.weight('wte.weight'), ids]), positions);
  }

  addPositions(embeddings: Value, positions: Value): Value {
    const wpe = this.graph.node('Gather', [this.#weights.weight('wpe.weight'), positions]);
    return this.graph.node('Add', [embeddings, wpe]);
  }

  layers({ embedded, keep }: LayerInputs, attend: (layer: number, qkv: Value) => Value): Value {
    let residual = embedded;
    let normed = this.#layerNorm(residual, 'h.0.ln_1');
    for (let layer = 0; layer < this.config.layers; layer++) {
      const h = `h.${layer}`;
      let attended = attend(layer, this.linear(normed, `${h}.attn.c_attn`));
      const last = layer === this.config.layers - 1;
      if (last) {
        attended = this.graph.node('Gather', [attended, keep]);
        residual = this.graph.node('Gather', [residual, keep]);
      }
      const projected = this.linear(attended, `${h}.attn.c_proj`);
      [normed, residual] = this.#addAndNorm(projected, residual, `${h}.ln_2`);
      const mlp = this.linear(this.#activate(this.linear(normed, `${h}.mlp.c_fc`)), `${h}.mlp.c_proj`);
      [normed, residual] = this.#addAndNorm(mlp, residual, last ? 'ln_f' : `h.${layer + 1}.ln_1`);
    }
    return normed;
  }

  headMatrix(): Value {
    return this.#weights.weight(this.#headMatrix);
  }

  head(hidden: Value, output: Value): void {
    this.#weights.head(hidden, { matrix: this.#headMatrix, bias: 'lm_head.bias', inputs: this.width }, output);
  }

  attentionScale(layer: number): number {
    const { width, heads, scaleAttention, scaleByInverseLayer } = this.config;
    const scale = scaleAttention ? 1 / Math.sqrt(width / heads) : 1;
    return scaleByInverseLayer ? scale / (layer + 1) : scale;
  }

  /** `x @ weight + bias`; `x` is `[tokens, in]`. */
  linear(x: Value, name: string): Value {
    if (this.#weights.isQuantized(name)) {
      const inputs = name.endsWith('mlp.c_proj') ? compiledInner(this.config) : this.config.width;
      return this.#weights.quantizedProduct(x, name, inputs, `${name}.bias`);
    }
    return this.graph.node('Gemm', [x, this.#weights.weight(`${name}.weight`), this.#weights.weight(`${name}.bias`)]);
  }

  #layerNorm(x: Value, name: string): Value {
    const inputs = [x, this.#weights.weight(`${name}.weight`), this.#weights.weight(`${name}.bias`)];
    const outputs = this.form === 'fused' ? 1 : 3; // the derivative needs mean and 1 / deviation
    const [normed] = this.graph.nodes('LayerNormalization', inputs, outputs, {
      epsilon: { float: this.config.layerNormEpsilon },
    });
    return normed as Value;
  }

  /** Adds a sublayer's output to the residual stream; returns the sum's norm and the sum. */
  #addAndNorm(x: Value, residual: Value, norm: string): [normed: Value, residual: Value] {
    if (this.form === 'differentiable') {
      const sum = this.graph.node('Add', [x, residual]);
      return [this.#layerNorm(sum, norm), sum];
    }
    const inputs = [x, residual, this.#weights.weight(`${norm}.weight`), this.#weights.weight(`${norm}.bias`)];
    const [normed, , , sum] = this.graph.nodes('com.microsoft:SkipLayerNormalization', inputs, 4, {
      epsilon: { float: this.config.layerNormEpsilon },
    });
    return [normed as Value, sum as Value];
  }

  #activate(x: Value): Value {
    return activate(this.graph, this.config.activation, x);
  }

  get #headMatrix(): string {
    return this.config.tiedHead ? 'wte.weight' : HEAD_WEIGHT;
  }
}
