import type { Size } from '../../onnx/autodiff/rule.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';
import type { AttentionSite } from '../../prefix/kv.js';
import { activate } from '../activations.js';
import { HEAD_WEIGHT, type WeightSource } from '../architecture.js';
import { convert } from '../cached-attention.js';
import type { StepTransformer } from '../decoder-graphs.js';
import type { LayerInputs, TransformerForm } from '../transformer.js';
import { WeightNodes } from '../weight-nodes.js';
import { type LlamaConfig, siteOf } from './config.js';
import { inverseFrequencies, rotationScale } from './rotation.js';
import { EMBEDDINGS } from './weights.js';

/** Cosines and sines of the angles that tokens turn by, `[tokens, headDim / 2]` each. */
interface Angles {
  readonly cosines: Value;
  readonly sines: Value;
}

/** Writes the parts of a model of the Llama family into a graph. */
export class LlamaTransformer implements StepTransformer {
  readonly site: AttentionSite;
  readonly width: number;
  readonly vocabularySize: number;
  /** Positions of a slot. */
  readonly positions: number;
  readonly shapes: [Value, readonly Size[]][] = [];
  readonly #weights: WeightNodes;
  private readonly config: LlamaConfig;

  constructor(
    readonly graph: GraphBuilder,
    source: WeightSource<LlamaConfig>,
    private readonly form: TransformerForm = 'fused',
  ) {
    const { config } = source;
    this.config = config;
    this.site = siteOf(config);
    this.width = config.width;
    this.vocabularySize = config.vocabularySize;
    this.positions = source.positions ?? config.contextLength;
    this.#weights = new WeightNodes(graph, source);
  }

  /** Type of the residual stream and of everything computed from it: that of the weights. */
  get activationType(): 'float32' | 'float16' {
    return this.#weights.activationType(EMBEDDINGS);
  }

  embed(ids: Value): Value {
    return this.graph.node('Gather', [this.#weights.weight(EMBEDDINGS), ids]);
  }

  /** Only the layers know positions. */
  addPositions(embeddings: Value): Value {
    return embeddings;
  }

  layers({ embedded, positions, keep }: LayerInputs, attend: (layer: number, qkv: Value) => Value): Value {
    const { graph, config } = this;
    const angles = this.#angles(positions);
    let residual = embedded;
    let normed = this.#norm(residual, 'layers.0.input_layernorm');
    for (let layer = 0; layer < config.layers; layer++) {
      const h = `layers.${layer}`;
      let attended = attend(layer, this.#projections(normed, `${h}.self_attn`, angles));
      const last = layer === config.layers - 1;
      if (last) {
        attended = graph.node('Gather', [attended, keep]);
        residual = graph.node('Gather', [residual, keep]);
      }
      const projected = this.#linear(attended, `${h}.self_attn.o_proj`, config.heads * config.headDim);
      [normed, residual] = this.#addAndNorm(projected, residual, `${h}.post_attention_layernorm`);
      const mlp = this.#mlp(normed, `${h}.mlp`);
      [normed, residual] = this.#addAndNorm(mlp, residual, last ? 'norm' : `layers.${layer + 1}.input_layernorm`);
    }
    return normed;
  }

  headMatrix(): Value {
    return this.#weights.weight(this.#headMatrix);
  }

  head(hidden: Value, output: Value): void {
    this.#weights.head(hidden, { matrix: this.#headMatrix, bias: 'lm_head.bias', inputs: this.width }, output);
  }

  attentionScale(): number {
    return 1 / Math.sqrt(this.config.headDim);
  }

  /** In float32, whatever the weights are: an angle has as many digits as its position. */
  #angles(positions: Value): Angles {
    const { graph, config } = this;
    const column = graph.node('Unsqueeze', [graph.cast(positions, 'float32'), graph.int64([1])]);
    const frequencies = inverseFrequencies(config.rotation, config.headDim);
    const angles = graph.node('Mul', [column, graph.float32(frequencies)]);
    const scale = rotationScale(config.rotation);
    const part = (op: 'Cos' | 'Sin'): Value => {
      const values = graph.node(op, [angles]);
      const scaled = scale === 1 ? values : graph.node('Mul', [values, graph.float32(scale)]);
      return convert(graph, scaled, 'float32', this.activationType);
    };
    return { cosines: part('Cos'), sines: part('Sin') };
  }

  /** Packed queries, keys and values; queries and keys are turned. */
  #projections(x: Value, name: string, angles: Angles): Value {
    const { graph, config } = this;
    const [heads, value] = this.#headsAndValues(x, name);
    const batch = graph.node('Unsqueeze', [heads, graph.int64([0])]); // [1, tokens, (heads + kvHeads) * headDim]
    const turned = graph.node('com.microsoft:RotaryEmbedding', [batch, graph.int64([0]), angles.cosines, angles.sines]);
    const width = (config.heads + config.kvHeads) * config.headDim;
    const packed = graph.node('Reshape', [turned, graph.int64([-1, width])]);
    this.shapes.push([heads, [-1, width]], [turned, [1, -1, width]], [packed, [-1, width]]);
    return graph.node('Concat', [packed, value], { axis: 1 });
  }

  /** The heads of queries and of keys, one behind the other, and the values. */
  #headsAndValues(x: Value, name: string): [heads: Value, values: Value] {
    const { graph, config } = this;
    const [queries, keys] = [config.heads * config.headDim, config.kvHeads * config.headDim];
    const layers = ['q_proj', 'k_proj', 'v_proj'];
    if (!config.headNorms) {
      const together = this.#joinedLinear(x, name, layers, [queries + keys, keys]);
      if (together !== undefined) return together as [Value, Value];
    }
    const [query, key, value] = this.#linears(x, name, layers, [queries, keys, keys]) as [Value, Value, Value];
    this.shapes.push([query, [-1, queries]], [key, [-1, keys]], [value, [-1, keys]]);
    const normed = [this.#headNorm(query, `${name}.q_norm`), this.#headNorm(key, `${name}.k_norm`)];
    return [graph.node('Concat', normed, { axis: 1 }), value];
  }

  /** Norms each head of `[tokens, heads * headDim]`, where the model does so. */
  #headNorm(x: Value, name: string): Value {
    const { graph, config } = this;
    if (!config.headNorms) return x;
    const heads = graph.node('Reshape', [x, graph.int64([0, -1, config.headDim])]);
    const normed = this.#norm(heads, name);
    const count = name.endsWith('q_norm') ? config.heads : config.kvHeads;
    const flat = graph.node('Reshape', [normed, graph.int64([-1, count * config.headDim])]);
    this.shapes.push([normed, [-1, count, config.headDim]], [flat, [-1, count * config.headDim]]);
    return flat;
  }

  #mlp(x: Value, name: string): Value {
    const { graph, config } = this;
    const widths = [config.inner, config.inner];
    const [gate, up] = this.#linears(x, name, ['gate_proj', 'up_proj'], widths) as [Value, Value];
    const gated = graph.node('Mul', [activate(graph, config.activation, gate), up]);
    return this.#linear(gated, `${name}.down_proj`, config.inner);
  }

  /** Linear layers of `x`, all of the model's width, with their numbers of outputs. */
  #linears(x: Value, name: string, layers: readonly string[], widths: readonly number[]): readonly Value[] {
    const together = this.#joinedLinear(x, name, layers, widths);
    return together ?? layers.map((layer) => this.#linear(x, `${name}.${layer}`, this.config.width));
  }

  /** Linear layers as one product, cut into `widths`; undefined where their matrices do not lie together, and where something is derived from them. */
  #joinedLinear(x: Value, name: string, layers: readonly string[], widths: readonly number[]): Value[] | undefined {
    const { graph } = this;
    const names = layers.map((layer) => `${name}.${layer}`);
    if (this.form === 'differentiable' || names.some((one) => this.#weights.has(`${one}.bias`))) return undefined;
    const parts = names.map((one) => `${one}.weight`);
    const matrix = this.#weights.joined(`${name}.${layers.join('+')}.weight`, parts);
    if (matrix === undefined) return undefined;
    const product = graph.node('Gemm', [x, matrix], { transB: 1 });
    return graph.nodes('Split', [product, graph.int64(widths)], widths.length, { axis: 1 });
  }

  /** `x` times the transposed weight, plus the bias where there is one; `x` is `[tokens, inputs]`. */
  #linear(x: Value, name: string, inputs: number): Value {
    const weights = this.#weights;
    const bias = `${name}.bias`;
    if (weights.isQuantized(name)) return weights.quantizedProduct(x, name, inputs, bias);
    const operands = [x, weights.weight(`${name}.weight`), ...(weights.has(bias) ? [weights.weight(bias)] : [])];
    return this.graph.node('Gemm', operands, { transB: 1 });
  }

  /** Norm over the last axis, whose mean is not taken out. */
  #norm(x: Value, name: string): Value {
    const outputs = this.form === 'fused' ? 1 : 2; // the derivative needs 1 / deviation
    const inputs = [x, this.#weights.weight(`${name}.weight`)];
    return this.graph.nodes('SimplifiedLayerNormalization', inputs, outputs, this.#normAttributes)[0] as Value;
  }

  /** Adds a sublayer's output to the residual stream; returns the sum's norm and the sum. */
  #addAndNorm(x: Value, residual: Value, norm: string): [normed: Value, residual: Value] {
    if (this.form === 'differentiable') {
      const sum = this.graph.node('Add', [x, residual]);
      return [this.#norm(sum, norm), sum];
    }
    const inputs = [x, residual, this.#weights.weight(`${norm}.weight`)];
    const op = 'com.microsoft:SkipSimplifiedLayerNormalization';
    const [normed, , , sum] = this.graph.nodes(op, inputs, 4, this.#epsilon);
    return [normed as Value, sum as Value];
  }

  get #headMatrix(): string {
    return this.config.tiedHead ? EMBEDDINGS : HEAD_WEIGHT;
  }

  get #epsilon(): { readonly epsilon: { readonly float: number } } {
    return { epsilon: { float: this.config.normEpsilon } };
  }

  get #normAttributes(): Record<string, number | { readonly float: number }> {
    return { axis: -1, stash_type: 1, ...this.#epsilon };
  }
}
