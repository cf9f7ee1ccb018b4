import { SAFETENSORS_ERROR_CODES, type SafetensorsErrorCode } from '../safetensors/index.js';

/** Kinds of failure, which the server maps to a status. `damaged` is the store's fault, the others are the caller's. */
export type PrefixErrorReason = 'invalid' | 'too_large' | 'not_found' | 'conflict' | 'quota' | 'damaged';

interface PrefixErrorEntry {
  /** The field of the upload that is at fault. */
  readonly param: string;
  readonly reason: PrefixErrorReason;
}

const invalid = (param: string): PrefixErrorEntry => ({ param, reason: 'invalid' });

/** Refusals of an adapter's config. */
const CONFIG_ERRORS = {
  adapter_config_too_large: { param: 'adapter_config', reason: 'too_large' },
  adapter_config_not_json: invalid('adapter_config'),
  peft_type_unsupported: invalid('adapter_config.peft_type'),
  task_type_unsupported: invalid('adapter_config.task_type'),
  num_transformer_submodules_unsupported: invalid('adapter_config.num_transformer_submodules'),
  num_layers_mismatch: invalid('adapter_config.num_layers'),
  num_attention_heads_mismatch: invalid('adapter_config.num_attention_heads'),
  /** PEFT's own prefix for an encoder-decoder that PEFT could not run: its decoder is deeper than its encoder. */
  num_layers_unsupported: invalid('adapter_config.num_layers'),
  /** As `num_layers_unsupported`: its decoder has other heads than its encoder. */
  num_attention_heads_unsupported: invalid('adapter_config.num_attention_heads'),
  token_dim_mismatch: invalid('adapter_config.token_dim'),
  num_virtual_tokens_mismatch: invalid('adapter_config.num_virtual_tokens'),
  /** Not a list of the model's sites, each once. */
  sites_invalid: invalid('adapter_config.sites'),
  /** Not the sites that the tensors are of. */
  sites_mismatch: invalid('adapter_config.sites'),
  /** Sites of an adapter that has none: a decoder-only model's, or a soft prompt. */
  sites_unsupported: invalid('adapter_config.sites'),
  modules_to_save_unsupported: invalid('adapter_config.modules_to_save'),
  placement_invalid: invalid('adapter_config.placement'),
  placement_conflict: invalid('placement'),
  placement_unsupported: invalid('placement'),
} as const;

/** Refusals of an adapter's tensors, beside those of `SafetensorsError`. */
const MODEL_ERRORS = {
  adapter_model_too_large: { param: 'adapter_model', reason: 'too_large' },
  adapter_model_pickle: invalid('adapter_model'),
  tensor_missing: invalid('adapter_model'),
  tensor_unexpected: invalid('adapter_model'),
  tensor_not_2d: invalid('adapter_model'),
  prefix_empty: invalid('adapter_model'),
  prefix_too_long: invalid('adapter_model'),
  /** Not as many rows for each virtual token as there should be. */
  tensor_rows_mismatch: invalid('adapter_model'),
  tensor_width_mismatch: invalid('adapter_model'),
  tensor_dtype_unsupported: invalid('adapter_model'),
  tensor_not_finite: invalid('adapter_model'),
  /** The values were finite in the file, and are not as float32 keys and values. */
  prefix_kv_not_finite: invalid('adapter_model'),
} as const;

const safetensorsErrors = Object.fromEntries(
  SAFETENSORS_ERROR_CODES.map((code) => [`safetensors_${code}`, invalid('adapter_model')]),
) as Record<`safetensors_${SafetensorsErrorCode}`, PrefixErrorEntry>;

/** Refusals of an adapter's chat template. */
const TEMPLATE_ERRORS = {
  chat_template_too_large: { param: 'chat_template', reason: 'too_large' },
  /** It is no Jinja, or takes longer or writes more than a template may. */
  chat_template_invalid: invalid('chat_template'),
  /** For an encoder-decoder, which completes no conversations. */
  chat_template_unsupported: invalid('chat_template'),
} as const;

/** Every code of a prefix that is refused, not found or unreadable. A store that cannot be used is a `StoreError`. */
export const PREFIX_ERRORS = {
  prefix_name_invalid: invalid('name'),
  prefix_name_reserved: invalid('name'),
  prefix_not_found: { param: 'name', reason: 'not_found' },
  /** More than one version of the name begins with these digits. */
  prefix_version_ambiguous: invalid('name'),
  /** Shares that are not 100 together, or of versions that are not there. */
  shares_invalid: invalid('shares'),
  /** An upload that is to have share 0 under a name that has no other version. */
  share_invalid: invalid('share'),
  /** A rollback of shares that have not changed. */
  no_previous_shares: { param: 'name', reason: 'conflict' },
  tenant_invalid: invalid('tenant'),
  /** The tenant is the prefix's owner. */
  grant_invalid: invalid('tenant'),
  /** The prefix is not granted to the tenant. */
  grant_not_found: { param: 'tenant', reason: 'not_found' },
  /** The prefix is granted to as many tenants, or the tenant was offered as many prefixes, as may be. */
  too_many_grants: { param: 'tenant', reason: 'quota' },
  ...CONFIG_ERRORS,
  ...MODEL_ERRORS,
  ...TEMPLATE_ERRORS,
  ...safetensorsErrors,
  /** A text for an encoder-decoder, or for a model without a tokenizer. */
  text_unsupported: invalid('text'),
  text_empty: invalid('text'),
  text_too_long: invalid('text'),
  /** The tenant has as many names or bytes as it may have. */
  prefix_quota_exceeded: { param: 'name', reason: 'quota' },
  /** A stored prefix that cannot be read as it was written. */
  prefix_damaged: { param: 'name', reason: 'damaged' },
} as const satisfies Record<string, PrefixErrorEntry>;

export type PrefixErrorCode = keyof typeof PREFIX_ERRORS;

/** A prefix that was refused, is not there or cannot be read. The message names the field and the limit. */
export class PrefixError extends Error {
  override readonly name = 'PrefixError';

  constructor(
    readonly code: PrefixErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The field of the upload that is at fault. */
  get param(): string {
    return PREFIX_ERRORS[this.code].param;
  }

  get reason(): PrefixErrorReason {
    return PREFIX_ERRORS[this.code].reason;
  }
}

/** The error for a name, or `name@VERSION`, that a tenant does not have. */
export function prefixNotFound(name: string): PrefixError {
  return new PrefixError('prefix_not_found', `name: there is no prefix ${JSON.stringify(name.slice(0, 210))}`);
}
