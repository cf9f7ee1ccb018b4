import { describe, expect, it } from 'vitest';

import { CheckpointError } from '../../src/model/checkpoint-error.js';
import { parseConfig } from '../../src/model/gpt2/config.js';

const tiny = { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 2, vocab_size: 100, n_positions: 32 };

describe('parseConfig', () => {
  it("fills in GPT-2's defaults", () => {
    expect(parseConfig({})).toMatchObject({ layers: 12, width: 768, inner: 3072, contextLength: 1024, tiedHead: true });
    expect(parseConfig({ ...tiny, n_inner: null }).inner).toBe(256);
    expect(parseConfig({ ...tiny, n_inner: 96 }).inner).toBe(96);
  });

  it('takes the end tokens of generation_config.json first', () => {
    expect(parseConfig({ ...tiny, eos_token_id: 7 }).eosTokenIds).toEqual([7]);
    expect(parseConfig({ ...tiny, eos_token_id: 7 }, { eos_token_id: [0, 3] }).eosTokenIds).toEqual([0, 3]);
    expect(parseConfig(tiny).eosTokenIds).toEqual([]);
  });

  it('reads what older versions of Transformers wrote', () => {
    const distilgpt2 = { _num_labels: 1, n_special: 0, predict_special_tokens: true, output_past: true };
    const off = {
      use_bfloat16: false,
      pruned_heads: {},
      tie_encoder_decoder: false,
      xla_device: null,
      bad_words_ids: [],
    };
    const generation = { do_sample: false, max_length: 20, num_beams: 1, repetition_penalty: 1.0, top_k: 50 };
    expect(parseConfig({ ...tiny, ...distilgpt2, ...off, ...generation })).toEqual(parseConfig(tiny));
  });

  it.each([
    ['n_head', 5],
    ['n_head', 16], // 4 wide each
    ['pruned_heads', { 0: [1] }],
    ['use_bfloat16', true],
    ['n_layer', 0],
    ['n_embd', 64.5],
    ['n_positions', '32'],
    ['activation_function', 'mish'],
    ['activation_function', 'constructor'],
    ['add_cross_attention', true],
    ['eos_token_id', 100],
    ['quantization_config', { bits: 4 }],
    ['scale_attn_weights', 'yes'],
  ])('refuses %s = %j and names it', (field, value) => {
    const parse = () => parseConfig({ ...tiny, [field]: value });
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(`config.json: ${field} is ${JSON.stringify(value)}`);
  });
});
