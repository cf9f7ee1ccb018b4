import type { GenerationConfig } from '../../engine/generation-config.js';
import type { Json } from '../architecture.js';
import { ConfigFields } from '../config-fields.js';

/** A `GenerationConfig` as a manifest keeps it: JSON has no undefined. */
export interface GenerationDefaults extends Omit<GenerationConfig, 'maxTokens'> {
  readonly maxTokens: number | null;
}

/** `</s>`, with which every BART's decoder starts. */
const DECODER_START = 2;
/** `</s>`, which every BART is forced to end with where its files say nothing else. */
const END = 2;
/** `<s>`. */
const BOS = 0;

/**
 * What a checkpoint asks of generation: all of it from `generation_config.json` where that is there, as in Transformers, else from
 * `config.json`. Lengths there count the start token, those returned do not.
 */
export function parseGeneration(
  config: ConfigFields,
  generation: Json | undefined,
  vocabularySize: number,
): GenerationDefaults {
  const read = generation === undefined ? config : new ConfigFields(generation, 'generation_config.json');
  const token = (field: string): number | null => read.token(field, vocabularySize);
  const start = token('decoder_start_token_id') ?? config.token('decoder_start_token_id', vocabularySize);
  // What came before `forced_bos_token_id`; today's Transformers knows it no more.
  const isBosForced = config.boolean('force_bos_token_to_be_generated', false);
  const fallback = isBosForced ? (config.token('bos_token_id', vocabularySize) ?? BOS) : null;
  return {
    decoderStart: [start ?? DECODER_START],
    forcedBosTokenId: read.has('forced_bos_token_id') ? token('forced_bos_token_id') : fallback,
    forcedEosTokenId: read === config && !config.has('forced_eos_token_id') ? END : token('forced_eos_token_id'),
    noRepeatNgramSize: read.count('no_repeat_ngram_size', 0),
    minTokens: read.count('min_new_tokens', Math.max(0, read.count('min_length', 0) - 1)),
    maxTokens: maxTokens(read),
  };
}

/** Settings that are served as the checkpoint has them. */
export const APPLIED: ReadonlySet<string> = new Set([
  'forced_bos_token_id',
  'forced_eos_token_id',
  'no_repeat_ngram_size',
  'min_length',
  'min_new_tokens',
]);

function maxTokens(read: ConfigFields): number | null {
  const given = read.count('max_new_tokens', 0);
  if (given > 0) return given;
  const length = read.count('max_length', 0);
  if (length === 1) throw read.refuse('max_length', 'it counts the start token: at least 2 is needed');
  return length === 0 ? null : length - 1;
}
