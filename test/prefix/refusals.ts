import type { AdapterOptions } from '../../src/prefix/adapter/read.js';
import type { PrefixErrorCode } from '../../src/prefix/errors.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { base, columns, type Json, model, rawModel, values } from './fixtures.js';

/** An upload, and how it is refused. What is left out is right. */
export interface Refusal {
  readonly code: PrefixErrorCode;
  readonly what: string;
  readonly changes?: Json;
  readonly config?: Uint8Array;
  readonly model?: Uint8Array;
  readonly options?: AdapterOptions;
}

export const two = { shape: [1, columns], data: values(columns) };
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const floats = (...numbers: number[]): Float32Array<ArrayBuffer> => values(3 * columns).with(5, numbers[0] ?? 0);

/** Codes of the store, names, texts, templates, shares and grants: no answer to an adapter's two files. Tests of those have them. */
export const notOfFiles: readonly PrefixErrorCode[] = [
  'prefix_not_found',
  'prefix_version_ambiguous',
  'prefix_damaged',
  'prefix_quota_exceeded', // test/prefix/store-contract.ts, test/server/rate-limits.test.ts
  'tenant_invalid',
  'text_empty',
  'text_too_long',
  'text_unsupported',
  'chat_template_invalid',
  'chat_template_too_large',
  'chat_template_unsupported', // test/server/site-prefixes.test.ts
  // Of shares and grants: test/server/versions-contract.ts.
  'grant_invalid',
  'grant_not_found',
  'too_many_grants',
  'share_invalid',
  'shares_invalid',
  'no_previous_shares',
];

/** At least one upload for every code that is about the files. */
export const refusals: Refusal[] = [
  { code: 'adapter_config_too_large', what: 'a config over 64 KiB', config: new Uint8Array((1 << 16) + 1) },
  {
    code: 'adapter_model_too_large',
    what: 'more than a whole context',
    model: new Uint8Array((1 << 20) + 9 + 16 * columns * 4),
  },
  { code: 'adapter_model_pickle', what: 'a zip archive', model: text('PK\x03\x04 archive/data.pkl') },
  {
    code: 'adapter_model_pickle',
    what: 'a bare pickle',
    model: Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9),
  },
  { code: 'adapter_config_not_json', what: 'no JSON', config: text('{') },
  { code: 'adapter_config_not_json', what: 'a list', config: text('[]') },
  { code: 'adapter_config_not_json', what: 'null', config: text('null') },
  {
    code: 'adapter_config_not_json',
    what: 'lists 30,000 deep',
    config: text(`{"peft_type":"PREFIX_TUNING","a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
  },
  { code: 'adapter_config_not_json', what: 'Latin-1', config: Uint8Array.of(0x7b, 0x22, 0xe4, 0x22, 0x3a, 0x31, 0x7d) },
  { code: 'peft_type_unsupported', what: 'no type', changes: { peft_type: undefined } },
  { code: 'peft_type_unsupported', what: 'LORA', changes: { peft_type: 'LORA' } },
  { code: 'peft_type_unsupported', what: 'multitask', changes: { peft_type: 'MULTITASK_PROMPT_TUNING' } },
  { code: 'peft_type_unsupported', what: 'an object', changes: { peft_type: {} } },
  { code: 'task_type_unsupported', what: 'SEQ_2_SEQ_LM', changes: { task_type: 'SEQ_2_SEQ_LM' } },
  { code: 'num_transformer_submodules_unsupported', what: 'two', changes: { num_transformer_submodules: 2 } },
  { code: 'num_layers_mismatch', what: 'another depth', changes: { num_layers: 3 } },
  { code: 'num_layers_mismatch', what: 'a string', changes: { num_layers: '2' } },
  { code: 'num_attention_heads_mismatch', what: 'another count', changes: { num_attention_heads: 4 } },
  { code: 'token_dim_mismatch', what: 'another width', changes: { token_dim: 8 } },
  { code: 'num_virtual_tokens_mismatch', what: 'another length', changes: { num_virtual_tokens: 4 } },
  { code: 'sites_unsupported', what: 'a list', changes: { sites: ['decoder'] } },
  { code: 'modules_to_save_unsupported', what: 'a list', changes: { modules_to_save: ['lm_head'] } },
  { code: 'placement_invalid', what: 'an unknown place', changes: { placement: 'suffix' } },
  { code: 'placement_conflict', what: 'two places', changes: { placement: 'infix' }, options: { placement: 'prefix' } },
  {
    code: 'placement_unsupported',
    what: 'a soft infix',
    changes: { peft_type: 'P_TUNING' },
    options: { placement: 'infix' },
  },
  { code: 'tensor_missing', what: 'no tensors', model: encodeSafetensors({}) },
  { code: 'tensor_missing', what: 'another name', model: encodeSafetensors({ embeddings: two }) },
  {
    code: 'tensor_unexpected',
    what: 'one more',
    changes: { num_virtual_tokens: null },
    model: encodeSafetensors({ prompt_embeddings: two, x: two }),
  },
  {
    code: 'tensor_not_2d',
    what: 'one dimension',
    changes: { num_virtual_tokens: null },
    model: encodeSafetensors({ prompt_embeddings: { shape: [columns], data: values(columns) } }),
  },
  { code: 'prefix_empty', what: 'no rows', changes: { num_virtual_tokens: 0 }, model: model(0) },
  { code: 'prefix_too_long', what: 'over half of the context', changes: { num_virtual_tokens: 9 }, model: model(9) },
  { code: 'prefix_too_long', what: 'over a configured limit', options: { maxLength: 2 } },
  { code: 'tensor_width_mismatch', what: 'a soft prompt as prefix', model: model(3, base.width) },
  { code: 'tensor_width_mismatch', what: 'a prefix as soft prompt', changes: { peft_type: 'PROMPT_TUNING' } },
  {
    code: 'tensor_dtype_unsupported',
    what: 'whole numbers',
    changes: { num_virtual_tokens: null },
    model: rawModel('I64', [1, columns], new Uint8Array(8 * columns)),
  },
  { code: 'tensor_not_finite', what: 'NaN', model: model(3, columns, floats(NaN)) },
  { code: 'tensor_not_finite', what: 'infinity', model: model(3, columns, floats(-Infinity)) },
  {
    code: 'tensor_not_finite',
    what: 'a half-precision infinity',
    changes: { num_virtual_tokens: null },
    model: rawModel('F16', [1, columns], new Uint8Array(Uint16Array.from({ length: columns }, () => 0x7c00).buffer)),
  },
  {
    code: 'tensor_not_finite',
    what: 'a float64 too large for float32',
    changes: { num_virtual_tokens: null },
    model: rawModel('F64', [1, columns], new Uint8Array(Float64Array.from({ length: columns }, () => 1e39).buffer)),
  },
  {
    code: 'tensor_not_finite',
    what: 'a bfloat16 NaN',
    changes: { num_virtual_tokens: null },
    model: rawModel('BF16', [1, columns], new Uint8Array(Uint16Array.from({ length: columns }, () => 0x7fc0).buffer)),
  },
  { code: 'safetensors_truncated', what: 'an empty file', model: new Uint8Array() },
  { code: 'safetensors_trailing_bytes', what: 'a byte too many', model: Uint8Array.of(...model(), 0) },
  { code: 'safetensors_data_past_end', what: 'a byte too few', model: model().slice(0, -1) },
];
