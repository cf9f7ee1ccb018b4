import { describe, expect, it } from 'vitest';

import { kvAdapter } from '../../src/prefix/adapter/kv-file.js';
import { rowWidth, SELF, selfKv, selfSite } from '../../src/prefix/kv.js';
import { adapterFiles } from '../../src/tuning/adapter-files.js';
import { base } from './fixtures.js';

/**
 * Fields of `PrefixTuningConfig` and `PromptTuningConfig` in PEFT 0.3.0. Until 0.14, PEFT fails on a file with any other field; later
 * versions know these too.
 */
const COMMON = [
  'peft_type',
  'base_model_name_or_path',
  'task_type',
  'inference_mode',
  'num_virtual_tokens',
  'token_dim',
];
const OF_PROMPTS = [...COMMON, 'num_transformer_submodules', 'num_attention_heads', 'num_layers'];
const KNOWN = {
  PREFIX_TUNING: [...OF_PROMPTS, 'encoder_hidden_size', 'prefix_projection'],
  PROMPT_TUNING: [...OF_PROMPTS, 'prompt_tuning_init', 'prompt_tuning_init_text', 'tokenizer_name_or_path'],
};

const rows = (length: number, width: number) => new Float32Array(length * width).fill(0.5);
const fields = (config: Uint8Array) => JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>;

describe('a config that is written here', () => {
  const kv = rows(2, rowWidth(selfSite(base)));
  it.each([
    ['of a text', kvAdapter(selfKv(2, kv), base), 'PREFIX_TUNING'],
    ['of prefix-tuning', adapterFiles({ method: 'prefix', length: 2 }, new Map([[SELF, kv]]), base), 'PREFIX_TUNING'],
    [
      'of prompt tuning',
      adapterFiles({ method: 'embedding', length: 2 }, new Map([[SELF, rows(2, base.width)]]), base),
      'PROMPT_TUNING',
    ],
  ] as const)('%s has no field that an old PEFT does not know', (_, { config }, peftType) => {
    const written = fields(config);
    expect(written['peft_type']).toBe(peftType);
    expect(written['task_type']).toBe('CAUSAL_LM'); // without it PEFT does nothing
    expect(Object.keys(written).filter((name) => !KNOWN[peftType].includes(name))).toEqual([]);
  });
});
