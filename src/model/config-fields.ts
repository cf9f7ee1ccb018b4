import { type Activation, ACTIVATIONS } from './activations.js';
import type { Json, Warn } from './architecture.js';
import { CheckpointError } from './checkpoint-error.js';
import { GENERATION_FIELDS, isOff } from './generation-fields.js';

/** Fields of every architecture's `config.json` that change nothing that is served, or are read elsewhere. */
const WITHOUT_EFFECT = new Set(
  `architectures initializer_range sep_token_id dtype torch_dtype transformers_version model_type task_specific_params _name_or_path name_or_path
   _attn_implementation_autoset attn_implementation return_dict gradient_checkpointing id2label label2id problem_type chunk_size_feed_forward
   finetuning_task tokenizer_class prefix _commit_hash generation_config
   _num_labels num_labels output_past torchscript xla_device tf_legacy_loss tie_last_hidden_states`.split(/\s+/),
);

/** Fields of every architecture that change what a model computes, and that no architecture here has. */
const REFUSED = new Set(['quantization_config', 'compression_config', 'pruned_heads', 'per_layer_config']);

/** Reads fields of a checkpoint's configuration file, remembering which ones were asked for. Errors name the file and the field. */
export class ConfigFields {
  readonly #seen = new Set<string>();
  private readonly json: Json;

  /** @param aliases other names that Transformers has for fields; where both are there, they must agree */
  constructor(
    json: Json,
    private readonly file = 'config.json',
    aliases: Readonly<Record<string, string>> = {},
  ) {
    const named: Record<string, unknown> = { ...json };
    this.json = named;
    for (const [alias, field] of Object.entries(aliases)) {
      this.skip(alias);
      const value = named[alias] ?? null;
      if (value === null) continue;
      if ((named[field] ?? value) !== value) {
        throw this.refuse(alias, `it is another name of ${field}, which is ${JSON.stringify(named[field])}`);
      }
      named[field] = value;
    }
  }

  /** Whether the field is there with a value that is not null, false, 0 or empty. */
  isSet(field: string): boolean {
    return !isOff(this.json[field]);
  }

  /** Whether the field is there, be it null. */
  has(field: string): boolean {
    return Object.hasOwn(this.json, field);
  }

  /**
   * The fields of the object that a field holds, those of an empty one where it is null or missing. Throws for one that is not `known`.
   */
  within(field: string, known: ReadonlySet<string>): ConfigFields {
    this.#seen.add(field);
    const value = this.json[field] ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.refuse(field, 'an object is needed');
    const other = Object.keys(value).find((name) => !known.has(name));
    if (other !== undefined) throw this.refuse(field, `${other} in it is not supported`);
    return new ConfigFields(value as Json, `${this.file}: ${field}`);
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

  /** A finite number above 0; one that must be there, without a fallback. */
  positiveNumber(field: string, fallback?: number): number {
    const value = this.#typed(field, 'number', fallback ?? NaN);
    if (Number.isFinite(value) && value > 0) return value;
    throw this.refuse(field, 'a number above 0 is needed');
  }

  /** A list of texts; undefined where the field is null or missing. */
  strings(field: string): readonly string[] | undefined {
    this.#seen.add(field);
    const value = this.json[field] ?? undefined;
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((text): text is string => typeof text === 'string')) return value;
    throw this.refuse(field, 'a list of texts is needed');
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

  /**
   * The tokens that end a text: one or several, none where the field is null or missing. What is no token of the vocabulary ends
   * nothing, in Transformers either, and is left out.
   */
  endTokens(field: string, vocabularySize: number, warn: Warn): number[] {
    const ids = this.#ids(field);
    const [known, unknown] = [true, false].map((isKnown) =>
      ids.filter((id) => (id >= 0 && id < vocabularySize) === isKnown),
    ) as [number[], number[]];
    if (unknown.length > 0) {
      const whole = known.length === 0 ? ': no token ends a text' : '';
      warn(
        `${this.file}: ${field} ${unknown.join(', ')} is not below vocab_size ${vocabularySize} and is ignored${whole}`,
      );
    }
    return known;
  }

  /** One token id or several; none where the field is null or missing. */
  tokens(field: string, vocabularySize: number): number[] {
    const ids = this.#ids(field);
    if (ids.every((id) => id >= 0 && id < vocabularySize)) return ids;
    throw this.refuse(field, `a token id below vocab_size ${vocabularySize} is needed`);
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
   * Tells, in one line, which fields nobody asked for, those left out that are off or that Transformers writes without need. Throws for a
   * field that is known to change what a model computes.
   * @param owner the kind of model, with an article
   * @param withoutEffect fields of this architecture that are
   */
  warnOfOthers(owner: string, withoutEffect: ReadonlySet<string>, warn: Warn): void {
    const isKnown = (field: string): boolean =>
      this.#seen.has(field) || WITHOUT_EFFECT.has(field) || withoutEffect.has(field) || GENERATION_FIELDS.has(field);
    const others = Object.keys(this.json).filter((field) => !isKnown(field) && !isOff(this.json[field]));
    const changing = others.find((field) => REFUSED.has(field));
    if (changing !== undefined) throw this.refuse(changing, 'not supported');
    if (others.length > 0)
      warn(`${this.file}: fields that ${owner} does not read have no effect: ${others.join(', ')}`);
  }

  refuse(field: string, why: string): CheckpointError {
    return new CheckpointError(`${this.file}: ${field} is ${JSON.stringify(this.json[field])}: ${why}`);
  }

  #ids(field: string): number[] {
    this.#seen.add(field);
    const value = this.json[field] ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (ids.every((id): id is number => Number.isSafeInteger(id))) return ids;
    throw this.refuse(field, 'token ids are whole numbers');
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

/**
 * The end tokens: `generation_config.json`'s if it has any, else those that `config.json` has.
 * @param fallback what Transformers takes where neither file says anything, undefined for none; not an end token where the vocabulary is smaller
 */
export function endTokens(
  config: ConfigFields,
  generation: Json | undefined,
  vocabularySize: number,
  { fallback, warn }: { readonly fallback: number | undefined; readonly warn: Warn },
): number[] {
  config.skip('eos_token_id');
  if ((generation?.['eos_token_id'] ?? null) !== null) {
    const fields = new ConfigFields(generation as Json, 'generation_config.json');
    return fields.endTokens('eos_token_id', vocabularySize, warn);
  }
  if (config.has('eos_token_id') || generation !== undefined)
    return config.endTokens('eos_token_id', vocabularySize, warn);
  return fallback !== undefined && fallback < vocabularySize ? [fallback] : [];
}
