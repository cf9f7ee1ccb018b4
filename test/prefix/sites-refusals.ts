import type { AdapterOptions } from '../../src/prefix/adapter/read.js';
import type { PrefixErrorCode } from '../../src/prefix/errors.js';
import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import type { AttentionSite } from '../../src/prefix/kv.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { rawModel, values } from './fixtures.js';
import {
  peftColumns,
  peftConfig,
  peftFiles,
  peftModel,
  peftPromptFiles,
  sitesConfig,
  sitesFiles,
  siteTensors,
} from './sites-fixtures.js';

/** An upload to an encoder-decoder, and how it is refused. */
export interface SitesRefusal {
  readonly code: PrefixErrorCode;
  readonly what: string;
  readonly files: AdapterFiles;
  readonly options?: AdapterOptions;
  /** Changes of the decoder's sites, in place of the fixture's. */
  readonly decoder?: Partial<AttentionSite>;
  /** Part of the message, where another refusal has the same code. */
  readonly message?: string;
}

const three = { encoder: 2, decoder: 3, cross: 4 };
const one = siteTensors({ decoder: 1 });
const tensor = { shape: [1, 24], data: values(24) };
const withModel = (model: Uint8Array): AdapterFiles => ({ config: sitesConfig(['decoder']), model });

export const sitesRefusals: SitesRefusal[] = [
  {
    code: 'adapter_config_too_large',
    what: 'a config over 64 KiB',
    files: { ...sitesFiles(three), config: new Uint8Array((1 << 16) + 1) },
  },
  {
    code: 'adapter_model_too_large',
    what: 'more than a whole context at every site',
    files: { ...sitesFiles(three), model: new Uint8Array((1 << 20) + 9 + 16 * 80 * 4) },
  },
  { code: 'adapter_model_pickle', what: 'a zip archive', files: withModel(Uint8Array.of(0x50, 0x4b, 3, 4)) },
  ...['MULTITASK_PROMPT_TUNING', 'CPT', 'CARTRIDGE', 'LORA'].map((peft_type): SitesRefusal => ({
    code: 'peft_type_unsupported',
    what: peft_type,
    files: peftFiles({ peft_type }),
    message: `"${peft_type}"; accepted are PREFIX_TUNING, PROMPT_TUNING, P_TUNING`,
  })),
  {
    code: 'task_type_unsupported',
    what: "a decoder-only model's",
    files: sitesFiles(three, { task_type: 'CAUSAL_LM' }),
    message: '"CAUSAL_LM"; tiny-bart is an encoder-decoder, so it must be null or SEQ_2_SEQ_LM',
  },
  {
    code: 'num_transformer_submodules_unsupported',
    what: 'one',
    files: peftFiles({ num_transformer_submodules: 1 }),
  },
  { code: 'num_layers_mismatch', what: 'no depth of all its sites', files: sitesFiles(three, { num_layers: 4 }) },
  { code: 'num_layers_mismatch', what: "PEFT's, another depth", files: peftFiles({ num_layers: 3 }) },
  { code: 'num_layers_unsupported', what: "PEFT's, a deeper decoder", files: peftFiles(), decoder: { layers: 5 } },
  { code: 'num_attention_heads_mismatch', what: 'sites', files: sitesFiles(three, { num_attention_heads: 4 }) },
  { code: 'num_attention_heads_mismatch', what: "PEFT's", files: peftFiles({ num_attention_heads: 1 }) },
  {
    code: 'num_attention_heads_unsupported',
    what: "PEFT's, a decoder of other heads",
    files: peftFiles(),
    decoder: { kvHeads: 4, headDim: 1 },
  },
  { code: 'token_dim_mismatch', what: 'sites', files: sitesFiles(three, { token_dim: 8 }) },
  { code: 'token_dim_mismatch', what: "PEFT's", files: peftFiles({ token_dim: 8 }) },
  {
    code: 'num_virtual_tokens_mismatch',
    what: 'lengths that differ',
    files: sitesFiles(three, { num_virtual_tokens: 3 }),
  },
  {
    code: 'num_virtual_tokens_mismatch',
    what: 'rows of both halves',
    files: peftPromptFiles({ num_virtual_tokens: 6 }),
  },
  { code: 'modules_to_save_unsupported', what: 'a list', files: sitesFiles(three, { modules_to_save: ['lm_head'] }) },
  ...[[], ['self'], ['decoder', 'decoder'], 'decoder', { 0: 'decoder' }, null].map((sites): SitesRefusal => ({
    code: 'sites_invalid',
    what: JSON.stringify(sites),
    files: sitesFiles({ decoder: 2 }, { sites }),
  })),
  { code: 'sites_mismatch', what: 'one too many', files: sitesFiles({ decoder: 2 }, { sites: ['decoder', 'cross'] }) },
  { code: 'sites_mismatch', what: 'one too few', files: sitesFiles(three, { sites: ['decoder', 'cross'] }) },
  { code: 'sites_mismatch', what: 'none stored', files: peftFiles({ sites: ['decoder'] }), message: 'no site' },
  { code: 'sites_unsupported', what: 'a soft prompt', files: peftPromptFiles({ sites: ['encoder'] }) },
  { code: 'placement_invalid', what: 'an unknown place', files: sitesFiles(three, { placement: 'suffix' }) },
  {
    code: 'placement_conflict',
    what: 'two places',
    files: sitesFiles(three, { placement: 'infix' }),
    options: { placement: 'prefix' },
  },
  { code: 'placement_unsupported', what: 'an infix', files: sitesFiles(three), options: { placement: 'infix' } },
  { code: 'placement_unsupported', what: 'a soft infix', files: peftPromptFiles(), options: { placement: 'infix' } },
  { code: 'tensor_missing', what: 'no tensors', files: { config: peftConfig(), model: encodeSafetensors({}) } },
  { code: 'tensor_unexpected', what: 'one more', files: withModel(encodeSafetensors({ ...one, x: tensor })) },
  {
    code: 'tensor_unexpected',
    what: 'embeddings, as only stores have them',
    files: withModel(encodeSafetensors({ ...one, 'source.prompt_embeddings': tensor })),
  },
  {
    code: 'tensor_not_2d',
    what: 'one dimension',
    files: withModel(encodeSafetensors({ 'decoder.prompt_embeddings': { shape: [24], data: values(24) } })),
  },
  { code: 'prefix_empty', what: 'no rows at one of the sites', files: sitesFiles({ encoder: 2, cross: 0 }) },
  {
    code: 'prefix_too_long',
    what: 'over half of the context at one site',
    files: sitesFiles({ encoder: 2, cross: 9 }),
    message: '9 virtual tokens in cross.prompt_embeddings; at most 8',
  },
  { code: 'prefix_too_long', what: 'over a configured limit', files: peftPromptFiles(), options: { maxLength: 2 } },
  {
    code: 'tensor_rows_mismatch',
    what: 'an odd number of rows',
    files: { config: peftConfig({ peft_type: 'P_TUNING' }), model: peftModel(5, 4) },
  },
  {
    code: 'tensor_width_mismatch',
    what: "the encoder's width at the decoder",
    files: withModel(encodeSafetensors({ 'decoder.prompt_embeddings': { shape: [1, 32], data: values(32) } })),
  },
  {
    code: 'tensor_width_mismatch',
    what: "PEFT's, a soft prompt as prefix",
    files: { config: peftConfig(), model: peftModel(3, 4) },
  },
  {
    code: 'tensor_dtype_unsupported',
    what: 'int64',
    files: {
      config: peftConfig({ num_virtual_tokens: null }),
      model: rawModel('I64', [1, peftColumns], new Uint8Array(8 * peftColumns)),
    },
  },
  {
    code: 'tensor_not_finite',
    what: 'NaN at one of the sites',
    files: {
      config: sitesConfig(['encoder', 'cross']),
      model: encodeSafetensors({
        ...siteTensors({ encoder: 1 }),
        'cross.prompt_embeddings': { shape: [1, 24], data: values(24).with(7, NaN) },
      }),
    },
  },
  {
    code: 'safetensors_data_past_end',
    what: 'a byte too few',
    files: { ...sitesFiles(three), model: sitesFiles(three).model.slice(0, -1) },
  },
];
