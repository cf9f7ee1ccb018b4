import type { Json, Warn } from './architecture.js';
import { CheckpointError } from './checkpoint-error.js';

/** Settings of generation that requests have, and the values that ask for nothing. Null, false, zero and empty never do. */
const REQUESTED: Readonly<Record<string, readonly unknown[]>> = {
  temperature: [1],
  top_k: [50],
  top_p: [1],
  min_p: [],
  repetition_penalty: [1],
  no_repeat_ngram_size: [],
  num_beams: [1],
  length_penalty: [1],
  early_stopping: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  min_new_tokens: [],
  min_length: [],
};
/** Settings that change what is generated, and that nothing here applies: they are refused unless they ask for nothing. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  bad_words_ids: [],
  force_words_ids: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_decoder_ids: [],
  sequence_bias: [],
  encoder_no_repeat_ngram_size: [],
  encoder_repetition_penalty: [1],
  exponential_decay_length_penalty: [],
  typical_p: [1],
  epsilon_cutoff: [],
  eta_cutoff: [],
  num_beam_groups: [1],
  diversity_penalty: [],
  penalty_alpha: [],
  guidance_scale: [1],
};
/** Settings that every request decides, or that change no token. */
const WITHOUT_EFFECT = `max_length max_new_tokens max_time do_sample num_return_sequences use_cache cache_implementation
  remove_invalid_values renormalize_logits output_scores output_logits output_attentions output_hidden_states
  return_dict_in_generate bos_token_id pad_token_id eos_token_id decoder_start_token_id`.split(/\s+/);

/** Names of all settings of generation, which Transformers 4 wrote into `config.json` too. */
export const GENERATION_FIELDS: ReadonlySet<string> = new Set([
  ...Object.keys(REQUESTED),
  ...Object.keys(REFUSED),
  ...WITHOUT_EFFECT,
]);

/**
 * Tells which settings of a checkpoint are not applied because requests decide. Throws `CheckpointError` for one that would
 * change what is generated and that no request can have.
 * @param file name of the file that `json` is from
 * @param applied settings that are served as the checkpoint has them
 */
export function checkGeneration(json: Json, file: string, applied: ReadonlySet<string>, warn: Warn): void {
  const left: string[] = [];
  for (const [field, value] of Object.entries(json)) {
    if (applied.has(field) || isOff(value)) continue;
    if (Object.hasOwn(REQUESTED, field) && !REQUESTED[field]?.includes(value)) {
      left.push(`${field} ${JSON.stringify(value)}`);
    }
    if (!Object.hasOwn(REFUSED, field) || REFUSED[field]?.includes(value)) continue;
    throw new CheckpointError(
      `${file}: ${field} is set, and it is not supported: remove it to serve the model without it`,
    );
  }
  if (left.length > 0) warn(`${file}: ${left.join(', ')} are not applied: a request has what it asks for itself`);
}

/** Null, false, zero, or empty: a feature that is not used. */
export function isOff(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}
