import { type AttentionSite, CROSS, DECODER, ENCODER, type ModelShape } from '../../prefix/kv.js';
import type { Activation } from '../activations.js';
import type { Json, Warn } from '../architecture.js';
import { ConfigFields, endTokens } from '../config-fields.js';
import { checkGeneration } from '../generation-fields.js';
import { APPLIED, type GenerationDefaults, parseGeneration } from './generation.js';

/** One side of a BART: its encoder or its decoder. */
interface BartSide {
  readonly layers: number;
  readonly heads: number;
  /** Width of the MLP's hidden layer. */
  readonly inner: number;
}

export const SIDES = ['encoder', 'decoder'] as const;
type SideName = (typeof SIDES)[number];

/** Everything of a BART checkpoint that changes what is served. */
export interface BartConfig extends Record<SideName, BartSide> {
  /** Width of the residual streams. */
  readonly width: number;
  /** Positions of a source, and of a target. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly activation: Activation;
  /** Token embeddings are multiplied by sqrt(width) where they are inputs. */
  readonly scaleEmbedding: boolean;
  /** The head's matrix is not the token embeddings. */
  readonly ownHead: boolean;
  readonly eosTokenIds: readonly number[];
  /** It changes no logits. */
  readonly generation: GenerationDefaults;
}

/** Fields without effect that other architectures do not have; the last two lines are what older versions of Transformers and DistilBART wrote. */
const WITHOUT_EFFECT = new Set(
  `dropout attention_dropout activation_dropout encoder_layerdrop decoder_layerdrop classif_dropout classifier_dropout init_std
   num_hidden_layers mask_token_id
   replacing_rate student_encoder_layers student_decoder_layers save_step teacher
   add_bos_token add_eos_token`.split(/\s+/),
);

/**
 * Other names of fields in Transformers. `num_hidden_layers` is one in Transformers 5 only: others wrote it into configurations beside
 * `encoder_layers`, with the number of either side.
 */
const ALIASES = { hidden_size: 'd_model', num_attention_heads: 'encoder_attention_heads' };
/** `</s>`, the end token. */
const END = 2;

/** Variants that are computed otherwise, and the only values of theirs that are served. */
const FIXED: Readonly<Record<string, readonly (boolean | number)[]>> = {
  is_encoder_decoder: [true],
  is_decoder: [false],
  tie_encoder_decoder: [false],
  normalize_before: [false],
  normalize_embedding: [true],
  add_final_layer_norm: [false],
  static_position_embeddings: [false],
  add_bias_logits: [false],
  extra_pos_embeddings: [0, 2], // of no effect: the table's height decides
};

/**
 * Reads `config.json`, and of `generation_config.json`, where it is there, what it says of generation.
 * Throws `CheckpointError` naming the file and the field for anything that a plain BART does not have.
 */
export function parseConfig(config: Json, generation?: Json, warn: Warn = () => undefined): BartConfig {
  const read = new ConfigFields(config, 'config.json', {
    ...ALIASES,
    ...(!('encoder_layers' in config) && { num_hidden_layers: 'encoder_layers' }),
  });
  for (const [field, values] of Object.entries(FIXED)) read.expect(field, ...values);
  const width = read.positive('d_model', 1024);
  const side = (name: SideName): BartSide => {
    const heads = read.positive(`${name}_attention_heads`, 16);
    const headDim = width / heads;
    if (!Number.isInteger(headDim)) throw read.refuse(`${name}_attention_heads`, `does not divide d_model ${width}`);
    if (headDim % 8 !== 0) {
      throw read.refuse(`${name}_attention_heads`, `heads are ${headDim} wide; a multiple of 8 is needed`);
    }
    return { layers: read.positive(`${name}_layers`, 12), heads, inner: read.positive(`${name}_ffn_dim`, 4096) };
  };
  const vocabularySize = read.positive('vocab_size', 50265);
  const result: BartConfig = {
    encoder: side('encoder'),
    decoder: side('decoder'),
    width,
    contextLength: read.positive('max_position_embeddings', 1024),
    vocabularySize,
    activation: read.activation('activation_function', 'gelu'),
    scaleEmbedding: read.boolean('scale_embedding', false),
    ownHead: !read.boolean('tie_word_embeddings', true),
    eosTokenIds: endTokens(read, generation, vocabularySize, { fallback: END, warn }),
    generation: parseGeneration(read, generation, vocabularySize),
  };
  read.warnOfOthers('a BART', WITHOUT_EFFECT, warn);
  const file = generation === undefined ? 'config.json' : 'generation_config.json';
  checkGeneration(generation ?? config, file, APPLIED, warn);
  return result;
}

/** A site where prefixes attach: keys and values have as many heads as queries. */
export function siteOf(config: BartConfig, name: typeof ENCODER | typeof DECODER | typeof CROSS): AttentionSite {
  const { layers, heads } = name === ENCODER ? config.encoder : config.decoder;
  return { name, layers, kvHeads: heads, headDim: config.width / heads };
}

/** The shape that prefixes must fit. */
export function shapeOf(config: BartConfig): ModelShape {
  const { width, contextLength, vocabularySize } = config;
  const sites = ([ENCODER, DECODER, CROSS] as const).map((name) => siteOf(config, name));
  return { sites, width, contextLength, vocabularySize, sourceLength: contextLength };
}
