import { HEAD_WEIGHT, type Matrix } from '../architecture.js';
import type { WeightSpec } from '../weights.js';
import type { LlamaConfig } from './config.js';

/** The embeddings of tokens. */
export const EMBEDDINGS = 'embed_tokens.weight';

/** Frequencies that checkpoints of Transformers before 4.32 carry; `config.json` has what they come from. */
const FREQUENCIES = /^layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/;

/** The name of the weight that a checkpoint's tensor holds; undefined for what is no weight. */
export function weightName(tensor: string): string | undefined {
  const name = tensor.replace(/^model\./, '');
  return FREQUENCIES.test(name) ? undefined : name;
}

/** Every weight, in float32, as a checkpoint holds it: linear layers are `[out, in]`. */
export function weightSpecs(config: LlamaConfig): WeightSpec[] {
  const { width, inner, vocabularySize, heads, kvHeads, headDim, biases } = config;
  const specs: WeightSpec[] = [{ name: EMBEDDINGS, shape: [vocabularySize, width] }];
  const norm = (name: string, size = width): void => void specs.push({ name: `${name}.weight`, shape: [size] });
  const linear = (name: string, from: number, to: number, hasBias: boolean): void => {
    specs.push({ name: `${name}.weight`, shape: [to, from] });
    if (hasBias) specs.push({ name: `${name}.bias`, shape: [to] });
  };
  for (let layer = 0; layer < config.layers; layer++) {
    const h = `layers.${layer}`;
    norm(`${h}.input_layernorm`);
    linear(`${h}.self_attn.q_proj`, width, heads * headDim, biases.qkv);
    linear(`${h}.self_attn.k_proj`, width, kvHeads * headDim, biases.qkv);
    linear(`${h}.self_attn.v_proj`, width, kvHeads * headDim, biases.qkv);
    linear(`${h}.self_attn.o_proj`, heads * headDim, width, biases.output);
    if (config.headNorms) {
      norm(`${h}.self_attn.q_norm`, headDim);
      norm(`${h}.self_attn.k_norm`, headDim);
    }
    norm(`${h}.post_attention_layernorm`);
    linear(`${h}.mlp.gate_proj`, width, inner, biases.mlp);
    linear(`${h}.mlp.up_proj`, width, inner, biases.mlp);
    linear(`${h}.mlp.down_proj`, inner, width, biases.mlp);
  }
  norm('norm');
  if (!config.tiedHead) specs.push({ name: HEAD_WEIGHT, shape: [vocabularySize, width] });
  return specs;
}

/** The matrix product that a weight belongs to; undefined where it belongs to none. */
export function matrixOf({ name, shape }: WeightSpec, { tiedHead }: LlamaConfig): Matrix | undefined {
  const [outputs, inputs] = shape;
  if (outputs === undefined || inputs === undefined) return undefined;
  const isEmbedding = name === EMBEDDINGS;
  if (isEmbedding && !tiedHead) return undefined;
  const layer = isEmbedding ? 'lm_head' : name.replace(/\.weight$/, '');
  return { name: layer, inputs, outputs, outputsFirst: true, isEmbedding };
}
