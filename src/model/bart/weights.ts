import { HEAD_WEIGHT, type Matrix } from '../architecture.js';
import type { WeightSpec } from '../weights.js';
import { type BartConfig, SIDES } from './config.js';

/** Rows that BART's tables of positions begin with and that no token has. */
export const POSITION_OFFSET = 2;
/** The embeddings of tokens, which both sides and the head share. */
export const EMBEDDINGS = 'shared.weight';
/** What is added to the logits: zeros, unless a checkpoint has it. */
export const LOGITS_BIAS = 'final_logits_bias';

/** The embeddings of tokens again: the head's matrix, and each side's own name for them. */
export const EMBEDDING_COPIES = [HEAD_WEIGHT, 'encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'] as const;

/** What old checkpoints carry that is no weight. */
const SKIPPED = new Set(['encoder.version', 'decoder.version']);

/** The name of the weight that a checkpoint's tensor holds, or of a copy of the embeddings; undefined for what is no weight. */
export function weightName(tensor: string): string | undefined {
  const name = tensor.replace(/^model\./, '');
  return SKIPPED.has(name) ? undefined : name;
}

/** Every weight of a BART, in float32, as a checkpoint holds it: linear layers are `[out, in]`. */
export function weightSpecs(config: BartConfig): WeightSpec[] {
  const { width: d, vocabularySize, contextLength } = config;
  const specs: WeightSpec[] = [
    { name: EMBEDDINGS, shape: [vocabularySize, d] },
    { name: LOGITS_BIAS, shape: [1, vocabularySize] },
  ];
  const vectors = (name: string): void => {
    specs.push({ name: `${name}.weight`, shape: [d] }, { name: `${name}.bias`, shape: [d] });
  };
  const linear = (name: string, from: number, to: number): void => {
    specs.push({ name: `${name}.weight`, shape: [to, from] }, { name: `${name}.bias`, shape: [to] });
  };
  const attention = (name: string): void => {
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) linear(`${name}.${part}`, d, d);
    vectors(`${name}_layer_norm`);
  };
  if (config.ownHead) specs.push({ name: HEAD_WEIGHT, shape: [vocabularySize, d] });
  for (const side of SIDES) {
    specs.push({ name: `${side}.embed_positions.weight`, shape: [contextLength + POSITION_OFFSET, d] });
    vectors(`${side}.layernorm_embedding`);
    const { layers, inner } = config[side];
    for (let layer = 0; layer < layers; layer++) {
      const h = `${side}.layers.${layer}`;
      attention(`${h}.self_attn`);
      if (side === 'decoder') attention(`${h}.encoder_attn`);
      linear(`${h}.fc1`, d, inner);
      linear(`${h}.fc2`, inner, d);
      vectors(`${h}.final_layer_norm`);
    }
  }
  return specs;
}

/** Every weight as the float32 compiled file holds it, in the same order. */
export function compiledSpecs(config: BartConfig): WeightSpec[] {
  return weightSpecs(config).map((spec) =>
    spec.name === LOGITS_BIAS ? { ...spec, shape: [config.vocabularySize] } : spec,
  );
}

/** The matrix product that a compiled weight belongs to; undefined where it belongs to none. */
export function matrixOf({ name, shape }: WeightSpec, { ownHead }: BartConfig): Matrix | undefined {
  const [outputs, inputs] = shape;
  if (outputs === undefined || inputs === undefined || name.endsWith('embed_positions.weight')) return undefined;
  const isEmbedding = name === EMBEDDINGS;
  if (isEmbedding && ownHead) return undefined;
  const layer = isEmbedding ? 'lm_head' : name.replace(/\.weight$/, '');
  return { name: layer, inputs, outputs, outputsFirst: true, isEmbedding };
}
