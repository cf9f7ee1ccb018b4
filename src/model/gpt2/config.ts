import { type AttentionSite, type ModelShape, SELF } from '../../prefix/kv.js';
import type { Json } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';

/** GPT-2's activation functions, by the names that Transformers gives them. */
const ACTIVATIONS = {
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu: 'gelu_erf',
  gelu_python: 'gelu_erf',
  quick_gelu: 'gelu_sigmoid',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
} as const;

export type Activation = (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];

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

/** Fields that have no effect on inference in float32, or are read elsewhere; the last three lines are what older versions of Transformers wrote. */
const WITHOUT_EFFECT = new Set(
  `architectures attn_pdrop resid_pdrop embd_pdrop initializer_range bos_token_id pad_token_id sep_token_id
   use_cache dtype torch_dtype transformers_version model_type task_specific_params _name_or_path name_or_path
   _attn_implementation_autoset attn_implementation reorder_and_upcast_attn n_ctx return_dict gradient_checkpointing
   summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
   output_attentions output_hidden_states return_dict_in_generate id2label label2id problem_type chunk_size_feed_forward
   finetuning_task tokenizer_class prefix auto_map _commit_hash generation_config
   _num_labels num_labels predict_special_tokens output_past torchscript xla_device
   max_length min_length do_sample num_beams num_beam_groups diversity_penalty early_stopping temperature top_k top_p typical_p
   repetition_penalty length_penalty num_return_sequences`.split(/\s+/),
);

/**
 * Reads `config.json` (and `generation_config.json`'s end tokens, which go first, as in Transformers).
 * Throws `CheckpointError` naming the field for anything that a plain GPT-2 does not have.
 */
export function parseConfig(config: Json, generation: Json = {}): Gpt2Config {
  const read = new FieldReader(config);
  const width = read.positive('n_embd', 768);
  const heads = read.positive('n_head', 12);
  if (width % heads !== 0) throw read.refuse('n_head', `does not divide n_embd ${width}`);
  if ((width / heads) % 8 !== 0)
    throw read.refuse('n_head', `heads are ${width / heads} wide; a multiple of 8 is needed`);
  const activation = read.string('activation_function', 'gelu_new');
  if (!Object.hasOwn(ACTIVATIONS, activation)) {
    throw read.refuse('activation_function', `supported are ${Object.keys(ACTIVATIONS).join(', ')}`);
  }
  const vocabularySize = read.positive('vocab_size', 50257);
  const result: Gpt2Config = {
    layers: read.positive('n_layer', 12),
    heads,
    width,
    inner: read.positive('n_inner', 4 * width),
    contextLength: read.positive('n_positions', 1024),
    vocabularySize,
    activation: ACTIVATIONS[activation as keyof typeof ACTIVATIONS],
    layerNormEpsilon: read.number('layer_norm_epsilon', 1e-5),
    scaleAttention: read.boolean('scale_attn_weights', true),
    scaleByInverseLayer: read.boolean('scale_attn_by_inverse_layer_idx', false),
    tiedHead: read.boolean('tie_word_embeddings', true),
    eosTokenIds: endTokens(read, generation['eos_token_id'] ?? config['eos_token_id'], vocabularySize),
  };
  read.expectNothingElse();
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

function endTokens(read: FieldReader, value: unknown, vocabularySize: number): number[] {
  const ids: unknown[] = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  return ids.map((id) => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
    throw read.refuse('eos_token_id', `a token id below vocab_size ${vocabularySize} is needed`);
  });
}

/** Null, false, zero, or empty: a feature that is not used. */
function isOff(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}

/** Reads fields of `config.json`, remembering which ones were asked for. */
class FieldReader {
  readonly #seen = new Set<string>(['eos_token_id']);

  constructor(private readonly config: Json) {}

  positive(field: string, fallback: number): number {
    const value = this.number(field, fallback);
    if (!Number.isSafeInteger(value) || value < 1) throw this.refuse(field, 'a positive whole number is needed');
    return value;
  }

  number(field: string, fallback: number): number {
    return this.#typed(field, 'number', fallback);
  }

  string(field: string, fallback: string): string {
    return this.#typed(field, 'string', fallback);
  }

  boolean(field: string, fallback: boolean): boolean {
    return this.#typed(field, 'boolean', fallback);
  }

  /** Throws for a field that nobody asked for, that is not off, and that is not known to be without effect. */
  expectNothingElse(): void {
    for (const [field, value] of Object.entries(this.config)) {
      if (this.#seen.has(field) || WITHOUT_EFFECT.has(field) || isOff(value)) continue;
      throw this.refuse(field, 'not supported');
    }
  }

  refuse(field: string, why: string): CheckpointError {
    return new CheckpointError(`config.json: ${field} is ${JSON.stringify(this.config[field])}: ${why}`);
  }

  #typed<T extends number | string | boolean>(field: string, type: string, fallback: T): T {
    this.#seen.add(field);
    const value = this.config[field] ?? fallback;
    if (typeof value !== type) throw this.refuse(field, `a ${type} is needed`);
    return value as T;
  }
}
