import { describe, expect, it } from 'vitest';

import { bart } from '../../src/model/bart/architecture.js';
import { parseConfig } from '../../src/model/bart/config.js';
import { CheckpointError } from '../../src/model/checkpoint-error.js';

const tiny = {
  ...{ model_type: 'bart', d_model: 64, vocab_size: 100, max_position_embeddings: 32 },
  ...{ encoder_layers: 3, encoder_attention_heads: 2, encoder_ffn_dim: 96 },
  ...{ decoder_layers: 2, decoder_attention_heads: 4, decoder_ffn_dim: 80 },
};
/** What bart-large-cnn's `config.json` says of generation. */
const summaries = {
  ...{ forced_bos_token_id: 0, forced_eos_token_id: 2, no_repeat_ngram_size: 3, min_length: 56, max_length: 142 },
  ...{ num_beams: 4, length_penalty: 2, early_stopping: true },
};

describe('parseConfig of a BART', () => {
  it('reads both sides', () => {
    expect(parseConfig(tiny)).toMatchObject({
      encoder: { layers: 3, heads: 2, inner: 96 },
      decoder: { layers: 2, heads: 4, inner: 80 },
      ...{ width: 64, contextLength: 32, vocabularySize: 100, activation: 'gelu_erf', scaleEmbedding: false },
    });
    expect(bart.shape(parseConfig(tiny)).sourceLength).toBe(32);
    expect(parseConfig({ ...tiny, scale_embedding: true }).scaleEmbedding).toBe(true);
  });

  it('reads what older versions of Transformers wrote', () => {
    const old = {
      ...{ normalize_before: false, normalize_embedding: true, add_final_layer_norm: false, extra_pos_embeddings: 2 },
      ...{ static_position_embeddings: false, add_bias_logits: false, classif_dropout: 0.1, encoder_layerdrop: 0.1 },
      ...{ num_hidden_layers: 12, output_past: true, prefix: ' ', is_encoder_decoder: true },
    };
    expect(parseConfig({ ...tiny, ...old })).toEqual(parseConfig(tiny));
  });

  it('takes generation from generation_config.json, else from config.json; lengths without the start token', () => {
    const expected = {
      ...{ decoderStart: [2], forcedBosTokenId: 0, forcedEosTokenId: 2, noRepeatNgramSize: 3 },
      ...{ minTokens: 55, maxTokens: 141 },
    };
    expect(bart.generation?.(parseConfig({ ...tiny, ...summaries }))).toEqual(expected);
    expect(bart.generation?.(parseConfig(tiny, { ...summaries, decoder_start_token_id: 2 }))).toEqual(expected);
    const none = { forcedBosTokenId: null, forcedEosTokenId: null, noRepeatNgramSize: 0, minTokens: 0 };
    const own = bart.generation?.(parseConfig({ ...tiny, ...summaries }, { decoder_start_token_id: 7 }));
    expect(own).toEqual({ ...none, decoderStart: [7], maxTokens: undefined });
  });

  it("forces Transformers' last token where config.json, alone, says nothing of it", () => {
    expect(parseConfig(tiny)).toMatchObject({ eosTokenIds: [2], generation: { forcedEosTokenId: 2 } });
    expect(parseConfig({ ...tiny, forced_eos_token_id: null }).generation.forcedEosTokenId).toBeNull();
  });

  it('warns once of what it does not read or apply', () => {
    const warnings: string[] = [];
    const config = { ...tiny, ...summaries, type_vocab_size: 2, eos_token_id: 100, num_hidden_layers: 12 };
    expect(parseConfig(config, undefined, (warning) => warnings.push(warning)).eosTokenIds).toEqual([]);
    expect(warnings).toEqual([
      'config.json: eos_token_id 100 is not below vocab_size 100 and is ignored: no token ends a text',
      'config.json: fields that a BART does not read have no effect: type_vocab_size',
      'config.json: num_beams 4, length_penalty 2, early_stopping true are not applied: a request has what it asks for itself',
    ]);
  });

  it('takes num_hidden_layers for the layers of the encoder only where nothing else says them', () => {
    const { encoder_layers: layers, ...rest } = tiny;
    expect(parseConfig({ ...rest, num_hidden_layers: layers })).toEqual(parseConfig(tiny));
    expect(parseConfig({ ...tiny, num_hidden_layers: 12 })).toEqual(parseConfig(tiny));
  });

  it('forces the first token where an old checkpoint asks for it', () => {
    const old = { ...tiny, force_bos_token_to_be_generated: true, bos_token_id: 5 };
    expect(parseConfig(old).generation.forcedBosTokenId).toBe(5);
    expect(parseConfig({ ...old, forced_bos_token_id: null }).generation.forcedBosTokenId).toBeNull();
  });

  it('has one fingerprint whatever the checkpoint asks of generation', () => {
    const text = bart.fingerprintText(parseConfig(tiny));
    expect(bart.fingerprintText(parseConfig({ ...tiny, ...summaries }))).toBe(text);
    expect(text).not.toContain('ownHead'); // prefixes of tied models were stored before it was read
    expect(bart.fingerprintText(parseConfig({ ...tiny, scale_embedding: true }))).not.toBe(text);
    expect(bart.fingerprintText(parseConfig({ ...tiny, tie_word_embeddings: false }))).not.toBe(text);
  });

  it.each([
    ['normalize_before', true],
    ['normalize_embedding', false],
    ['static_position_embeddings', true],
    ['extra_pos_embeddings', 3],
    ['is_encoder_decoder', false],
    ['tie_encoder_decoder', true],
    ['hidden_size', 32],
    ['decoder_start_token_id', 100],
    ['encoder_attention_heads', 5],
    ['decoder_attention_heads', 16], // 4 wide each
    ['decoder_layers', 0],
    ['activation_function', 'mish'],
    ['forced_bos_token_id', 100],
    ['no_repeat_ngram_size', -1],
    ['max_length', 1],
    ['quantization_config', { bits: 4 }],
  ])('refuses %s = %j and names it', (field, value) => {
    const parse = () => parseConfig({ ...tiny, [field]: value });
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(`config.json: ${field} is ${JSON.stringify(value)}`);
  });
});
