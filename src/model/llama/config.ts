import { type AttentionSite, type ModelShape, SELF } from '../../prefix/kv.js';
import type { Activation } from '../activations.js';
import type { Json, Warn } from '../architecture.js';
import { ConfigFields, endTokens } from '../config-fields.js';
import { checkGeneration } from '../generation-fields.js';
import { type Family, FAMILIES, familyOf } from './families.js';
import { readRotation, type Rotation } from './rotation.js';

/** Everything of a checkpoint's `config.json` that changes what the model computes. */
export interface LlamaConfig {
  /** `model_type` of the checkpoint. What is computed does not depend on it: it is no part of the fingerprint. */
  readonly family: Family;
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values, each for `heads / kvHeads` heads of queries. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the residual stream. */
  readonly width: number;
  /** Width of the MLP's hidden layer. */
  readonly inner: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly activation: Activation;
  readonly normEpsilon: number;
  readonly rotation: Rotation;
  /** Projections that have a bias. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  /** Queries and keys are normed, head by head, before they are turned. */
  readonly headNorms: boolean;
  /** The head's matrix is the token embedding. */
  readonly tiedHead: boolean;
  readonly eosTokenIds: readonly number[];
}

/** Fields without effect that other architectures do not have. */
const WITHOUT_EFFECT = new Set(['attention_dropout', 'pretraining_tp', 'max_window_layers', 'is_llama_config']);

/**
 * Reads `config.json` (and `generation_config.json`'s end tokens, which go first, as in Transformers).
 * Throws `CheckpointError` naming the field for anything that a model of the family does not have, or that would be computed wrongly.
 */
export function parseConfig(config: Json, generation?: Json, warn: Warn = () => undefined): LlamaConfig {
  const family = familyOf(config['model_type']);
  const { defaults, title, biases } = FAMILIES[family];
  const read = new ConfigFields(config);
  read.expect('add_cross_attention', false);
  read.expect('is_encoder_decoder', false);
  read.expect('rope_interleaved', false);
  const width = read.positive('hidden_size', 4096);
  const heads = read.positive('num_attention_heads', 32);
  const layers = read.positive('num_hidden_layers', 32);
  const contextLength = read.positive('max_position_embeddings', defaults.contextLength);
  const vocabularySize = read.positive('vocab_size', defaults.vocabularySize);
  refuseWindows(config, read, { family, layers, contextLength });
  const hasAttentionBias = biases === 'asked' && read.boolean('attention_bias', false);
  const result: LlamaConfig = {
    family,
    layers,
    ...readHeads(read, { family, width, heads }),
    width,
    inner: read.positive('intermediate_size', defaults.inner),
    contextLength,
    vocabularySize,
    activation: read.activation('hidden_act', 'silu'),
    normEpsilon: read.number('rms_norm_eps', 1e-6),
    rotation: readRotation(read, contextLength),
    biases: {
      qkv: hasAttentionBias || biases === 'qkv',
      output: hasAttentionBias,
      mlp: family === 'llama' && read.boolean('mlp_bias', false),
    },
    headNorms: family === 'qwen3',
    tiedHead: read.boolean('tie_word_embeddings', false),
    eosTokenIds: endTokens(read, generation, vocabularySize, { fallback: defaults.endToken, warn }),
  };
  read.warnOfOthers(title, WITHOUT_EFFECT, warn);
  const file = generation === undefined ? 'config.json' : 'generation_config.json';
  checkGeneration(generation ?? config, file, new Set(), warn);
  return result;
}

interface WindowContext {
  readonly family: Family;
  readonly layers: number;
  readonly contextLength: number;
}

interface HeadsContext {
  readonly family: Family;
  readonly width: number;
  readonly heads: number;
}

function readHeads(
  read: ConfigFields,
  { family, width, heads }: HeadsContext,
): Pick<LlamaConfig, 'heads' | 'kvHeads' | 'headDim'> {
  const { defaults } = FAMILIES[family];
  // A missing field has the family's default; null is as many as heads, as in Transformers.
  const kvHeads = read.positive(
    'num_key_value_heads',
    read.has('num_key_value_heads') ? heads : (defaults.kvHeads ?? heads),
  );
  if (heads % kvHeads !== 0) throw read.refuse('num_key_value_heads', `does not divide num_attention_heads ${heads}`);
  const headDim = read.positive('head_dim', defaults.headDim ?? width / heads);
  if (headDim % 8 !== 0) {
    const field = read.has('head_dim') ? 'head_dim' : 'num_attention_heads';
    throw read.refuse(field, `heads are ${headDim} wide; a multiple of 8 is needed`);
  }
  return { heads, kvHeads, headDim };
}

/** Every token sees all before it: a window is refused unless the whole context fits into it. */
function refuseWindows(config: Json, read: ConfigFields, { family, layers, contextLength }: WindowContext): void {
  if (family === 'llama') return; // it knows no windows, whatever the fields say
  const types = read.strings('layer_types');
  read.skip('sliding_window');
  const hasSwitch = family !== 'mistral';
  const isOn = hasSwitch ? read.boolean('use_sliding_window', false) : config['sliding_window'] !== null;
  const firstSliding = hasSwitch ? read.count('max_window_layers', 28) : 0;
  const isSliding = types?.some((type) => type !== 'full_attention') ?? (isOn && firstSliding < layers);
  if (!isSliding) return;
  if (!isOn) throw read.refuse('layer_types', 'supported is full_attention');
  const window = read.positive('sliding_window', 4096); // Transformers' own where it is missing
  if (window >= contextLength) return;
  throw read.refuse('sliding_window', `a window of ${window} in a context of ${contextLength} is not supported`);
}

/** The only site. */
export function siteOf({ layers, heads, kvHeads, headDim }: LlamaConfig): AttentionSite {
  return { name: SELF, layers, kvHeads, headDim, ...(heads !== kvHeads && { queryHeads: heads }) };
}

/** The shape that prefixes must fit. */
export function shapeOf(config: LlamaConfig): ModelShape {
  const { width, contextLength, vocabularySize } = config;
  return { sites: [siteOf(config)], width, contextLength, vocabularySize };
}
