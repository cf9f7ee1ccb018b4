import { describe, expect, it } from 'vitest';

import type { Json } from '../../src/model/architecture.js';
import { CheckpointError } from '../../src/model/checkpoint-error.js';
import { parseConfig } from '../../src/model/gpt2/config.js';

const tiny = { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 2, vocab_size: 100, n_positions: 32 };

function warningsOf(config: Json, generation?: Json): string[] {
  const warnings: string[] = [];
  parseConfig(config, generation, (warning) => warnings.push(warning));
  return warnings;
}

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

  it("takes Transformers' end token where config.json, alone, says nothing of one", () => {
    expect(parseConfig({}).eosTokenIds).toEqual([50256]);
    expect(parseConfig({ eos_token_id: null }).eosTokenIds).toEqual([]);
    expect(parseConfig({}, {}).eosTokenIds).toEqual([]);
    expect(warningsOf(tiny)).toEqual([]);
  });

  it('ignores end tokens outside of the vocabulary, naming the file', () => {
    const big = { ...tiny, eos_token_id: 50256, bos_token_id: 50256, pad_token_id: -1 };
    expect(parseConfig(big).eosTokenIds).toEqual([]);
    expect(warningsOf(big)).toEqual([
      'config.json: eos_token_id 50256 is not below vocab_size 100 and is ignored: no token ends a text',
    ]);
    expect(parseConfig(big, { eos_token_id: [0, 100, -1] }).eosTokenIds).toEqual([0]);
    expect(warningsOf(big, { eos_token_id: [0, 100, -1] })).toEqual([
      'generation_config.json: eos_token_id 100, -1 is not below vocab_size 100 and is ignored',
    ]);
    expect(() => parseConfig(tiny, { eos_token_id: '7' })).toThrow('generation_config.json: eos_token_id is "7"');
  });

  it('warns once of all fields that it does not read, and of what requests decide', () => {
    const others = {
      type_vocab_size: 2,
      is_decoder: true,
      my_own: { a: 1 },
      auto_map: { AutoModel: 'x.X' },
      use_bfloat16: true,
    };
    const off = { rope_scaling: null, adapters: {}, layer_types: [] };
    const generation = {
      repetition_penalty: 1.2,
      no_repeat_ngram_size: 3,
      forced_eos_token_id: 5,
      top_k: 50,
      max_length: 99,
    };
    const expected = [
      'config.json: fields that a GPT-2 does not read have no effect: type_vocab_size, is_decoder, my_own, auto_map, use_bfloat16',
      'config.json: repetition_penalty 1.2, no_repeat_ngram_size 3, forced_eos_token_id 5 are not applied: a request has what it asks for itself',
    ];
    expect(warningsOf({ ...tiny, ...others, ...off, ...generation })).toEqual(expected);
    expect(parseConfig({ ...tiny, ...others, ...off, ...generation })).toEqual(parseConfig(tiny));
    // What `generation_config.json` says goes first, as in Transformers.
    expect(warningsOf({ ...tiny, ...generation }, {})).toEqual([]);
    expect(warningsOf(tiny, generation)).toEqual([expected[1]?.replace('config', 'generation_config')]);
  });

  it("reads fields by Transformers' other names, which must agree", () => {
    const { n_embd, n_head, n_layer, n_positions, ...rest } = tiny;
    const renamed = {
      ...{ hidden_size: n_embd, num_attention_heads: n_head, num_hidden_layers: n_layer },
      max_position_embeddings: n_positions,
    };
    expect(parseConfig({ ...rest, ...renamed })).toEqual(parseConfig(tiny));
    expect(parseConfig({ ...tiny, ...renamed })).toEqual(parseConfig(tiny));
    expect(() => parseConfig({ ...tiny, num_hidden_layers: 3 })).toThrow(
      'config.json: num_hidden_layers is 3: it is another name of n_layer, which is 2',
    );
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
    ['n_layer', 0],
    ['n_embd', 64.5],
    ['n_positions', '32'],
    ['activation_function', 'mish'],
    ['activation_function', 'constructor'],
    ['add_cross_attention', true],
    ['eos_token_id', 1.5],
    ['is_encoder_decoder', true],
    ['per_layer_config', { 0: {} }],
    ['hidden_size', '64'],
    ['quantization_config', { bits: 4 }],
    ['scale_attn_weights', 'yes'],
  ])('refuses %s = %j and names it', (field, value) => {
    const parse = () => parseConfig({ ...tiny, [field]: value });
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(`config.json: ${field} is ${JSON.stringify(value)}`);
  });

  it.each([
    ['bad_words_ids', [[5]]],
    ['suppress_tokens', [3]],
    ['typical_p', 0.9],
  ])('refuses %s in either file, because no request could ask for it', (field, value) => {
    const message = `config.json: ${field} is set, and it is not supported: remove it`;
    expect(() => parseConfig({ ...tiny, [field]: value })).toThrow(message);
    expect(() => parseConfig(tiny, { [field]: value })).toThrow(`generation_${message}`);
    expect(() => parseConfig({ ...tiny, [field]: value }, {})).not.toThrow();
  });
});
