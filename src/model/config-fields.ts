import { type Activation, ACTIVATIONS } from './activations.js';
import type { Json } from './architecture.js';
import { CheckpointError } from './checkpoint-error.js';

/** Fields of every architecture's `config.json` that change nothing that is served, or are read elsewhere. */
const WITHOUT_EFFECT = new Set(
  `architectures initializer_range bos_token_id eos_token_id pad_token_id sep_token_id
   use_cache dtype torch_dtype transformers_version model_type task_specific_params _name_or_path name_or_path
   _attn_implementation_autoset attn_implementation return_dict gradient_checkpointing
   output_attentions output_hidden_states return_dict_in_generate id2label label2id problem_type chunk_size_feed_forward
   finetuning_task tokenizer_class prefix auto_map _commit_hash generation_config
   _num_labels num_labels output_past torchscript xla_device
   max_length min_length do_sample num_beams num_beam_groups diversity_penalty early_stopping temperature top_k top_p typical_p
   repetition_penalty length_penalty num_return_sequences`.split(/\s+/),
);

/** Reads fields of a checkpoint's configuration file, remembering which ones were asked for. Errors name the file and the field. */
export class ConfigFields {
  readonly #seen = new Set<string>();

  constructor(
    private readonly json: Json,
    private readonly file = 'config.json',
  ) {}

  /** Whether the field is there, be it null. */
  has(field: string): boolean {
    return Object.hasOwn(this.json, field);
  }

  /** Takes the field for read, whatever its value. */
  skip(field: string): void {
    this.#seen.add(field);
  }

  /** A whole number of at least 1. */
  positive(field: string, fallback: number): number {
    return this.#whole(field, fallback, 1);
  }

  /** A whole number of at least 0. */
  count(field: string, fallback: number): number {
    return this.#whole(field, fallback, 0);
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

  /** An activation function by its name in Transformers. */
  activation(field: string, fallback: keyof typeof ACTIVATIONS): Activation {
    const name = this.string(field, fallback);
    if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name as keyof typeof ACTIVATIONS];
    throw this.refuse(field, `supported are ${Object.keys(ACTIVATIONS).join(', ')}`);
  }

  /** One token id or several; none where the field is null or missing. */
  tokens(field: string, vocabularySize: number): number[] {
    this.#seen.add(field);
    const value = this.json[field];
    const ids: unknown[] = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
      throw this.refuse(field, `a token id below vocab_size ${vocabularySize} is needed`);
    });
  }

  /** One token id; null where the field is null or missing. */
  token(field: string, vocabularySize: number): number | null {
    const [id = null, ...others] = this.tokens(field, vocabularySize);
    if (others.length > 0) throw this.refuse(field, 'one token id is needed');
    return id;
  }

  /** Throws unless the field is missing, null, or one of those values. */
  expect(field: string, ...values: readonly (boolean | number)[]): void {
    this.#seen.add(field);
    const value = this.json[field] ?? null;
    if (value === null || values.includes(value as boolean | number)) return;
    throw this.refuse(field, `supported is ${values.join(' or ')}`);
  }

  /**
   * Throws for a field that nobody asked for, that is not off, and that is not known to be without effect.
   * @param withoutEffect fields of this architecture that are
   */
  expectNothingElse(withoutEffect: ReadonlySet<string>): void {
    for (const [field, value] of Object.entries(this.json)) {
      if (this.#seen.has(field) || WITHOUT_EFFECT.has(field) || withoutEffect.has(field) || isOff(value)) continue;
      throw this.refuse(field, 'not supported');
    }
  }

  refuse(field: string, why: string): CheckpointError {
    return new CheckpointError(`${this.file}: ${field} is ${JSON.stringify(this.json[field])}: ${why}`);
  }

  #whole(field: string, fallback: number, least: 0 | 1): number {
    const value = this.number(field, fallback);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw this.refuse(field, `a ${least === 1 ? 'positive ' : ''}whole number is needed`);
  }

  #typed<T extends number | string | boolean>(field: string, type: string, fallback: T): T {
    this.#seen.add(field);
    const value = this.json[field] ?? fallback;
    if (typeof value !== type) throw this.refuse(field, `a ${type} is needed`);
    return value as T;
  }
}

/** The end tokens: `generation_config.json`'s if it has any, else those that `config.json` has. */
export function endTokens(config: ConfigFields, generation: Json, vocabularySize: number): number[] {
  const hasOwn = (generation['eos_token_id'] ?? null) !== null;
  const fields = hasOwn ? new ConfigFields(generation, 'generation_config.json') : config;
  return fields.tokens('eos_token_id', vocabularySize);
}

/** Null, false, zero, or empty: a feature that is not used. */
function isOff(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}
