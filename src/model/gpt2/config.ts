import { type AttentionSite, type ModelShape, SELF } from '../../prefix/kv.js';
import type { Activation } from '../activations.js';
import type { Json, Warn } from '../architecture.js';
import { ConfigFields, endTokens } from '../config-fields.js';
import { checkGeneration } from '../generation-fields.js';

/** Everything of a GPT-2 checkpoint's `config.json` that changes what the model computes. */
export interface Gpt2Config {
  readonly layers: number;
  readonly heads: number;
  /** Width of the residual stream: heads * headDim. */
  readonly width: number;
  /** Width of the MLP's hidden layer. */
  readonly inner: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
  /** Divide attention scores by sqrt(headDim). */
  readonly scaleAttention: boolean;
  /** Divide attention scores of layer i by i + 1. */
  readonly scaleByInverseLayer: boolean;
  /** The head's matrix is the token embedding. */
  readonly tiedHead: boolean;
  readonly eosTokenIds: readonly number[];
}

/** Fields without effect that other architectures do not have. */
const WITHOUT_EFFECT = new Set(
  `attn_pdrop resid_pdrop embd_pdrop reorder_and_upcast_attn n_ctx predict_special_tokens
   summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj`.split(/\s+/),
);

/** Other names of fields in Transformers. */
const ALIASES = {
  hidden_size: 'n_embd',
  max_position_embeddings: 'n_positions',
  num_attention_heads: 'n_head',
  num_hidden_layers: 'n_layer',
};
/** `<|endoftext|>` in GPT-2's vocabulary. */
const END_OF_TEXT = 50256;

/**
 * Reads `config.json` (and `generation_config.json`'s end tokens, which go first, as in Transformers).
 * Throws `CheckpointError` naming the field for anything that a plain GPT-2 does not have.
 */
export function parseConfig(config: Json, generation?: Json, warn: Warn = () => undefined): Gpt2Config {
  const read = new ConfigFields(config, 'config.json', ALIASES);
  read.expect('add_cross_attention', false);
  read.expect('is_encoder_decoder', false);
  const width = read.positive('n_embd', 768);
  const heads = read.positive('n_head', 12);
  if (width % heads !== 0) throw read.refuse('n_head', `does not divide n_embd ${width}`);
  if ((width / heads) % 8 !== 0)
    throw read.refuse('n_head', `heads are ${width / heads} wide; a multiple of 8 is needed`);
  const vocabularySize = read.positive('vocab_size', 50257);
  const result: Gpt2Config = {
    layers: read.positive('n_layer', 12),
    heads,
    width,
    inner: read.positive('n_inner', 4 * width),
    contextLength: read.positive('n_positions', 1024),
    vocabularySize,
    activation: read.activation('activation_function', 'gelu_new'),
    layerNormEpsilon: read.number('layer_norm_epsilon', 1e-5),
    scaleAttention: read.boolean('scale_attn_weights', true),
    scaleByInverseLayer: read.boolean('scale_attn_by_inverse_layer_idx', false),
    tiedHead: read.boolean('tie_word_embeddings', true),
    eosTokenIds: endTokens(read, generation, vocabularySize, { fallback: END_OF_TEXT, warn }),
  };
  read.warnOfOthers('a GPT-2', WITHOUT_EFFECT, warn);
  const file = generation === undefined ? 'config.json' : 'generation_config.json';
  checkGeneration(generation ?? config, file, new Set(), warn);
  return result;
}

/** The only site: keys and values have as many heads as queries. */
export function siteOf({ layers, heads, width }: Gpt2Config): AttentionSite {
  return { name: SELF, layers, kvHeads: heads, headDim: width / heads };
}

/** The shape that prefixes must fit. */
export function shapeOf(config: Gpt2Config): ModelShape {
  const { width, contextLength, vocabularySize } = config;
  return { sites: [siteOf(config)], width, contextLength, vocabularySize };
}
