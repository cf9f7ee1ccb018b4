import fs from 'node:fs';

import { describe, expect, it } from 'vitest';

import type { Json } from '../../src/model/architecture.js';
import { type LlamaConfig, parseConfig, shapeOf } from '../../src/model/llama/config.js';
import { inverseFrequencies, rotationScale } from '../../src/model/llama/rotation.js';

const llama: Json = {
  ...{ model_type: 'llama', hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, vocab_size: 100, max_position_embeddings: 32, rms_norm_eps: 1e-5 },
};
const parse = (changes: Json, base = llama): LlamaConfig => parseConfig({ ...base, ...changes });

interface RotationCase {
  readonly config: Json;
  readonly inverse_frequencies: number[];
  readonly scale: number;
}
const rotations = JSON.parse(
  fs.readFileSync(new URL('../goldens/llama/rotations.json', import.meta.url), 'utf8'),
) as RotationCase[];

describe('the rotation', () => {
  it.each(rotations.map((rotation, i) => [i, rotation] as const))(
    'of case %i is that of Transformers',
    (_, { config, ...expected }) => {
      const { rotation, headDim } = parseConfig(config);
      const found = inverseFrequencies(rotation, headDim);
      expect(found).toHaveLength(expected.inverse_frequencies.length);
      found.forEach((frequency, i) => {
        expect(Math.abs(frequency / expected.inverse_frequencies[i]! - 1)).toBeLessThan(3e-7);
      });
      expect(rotationScale(rotation)).toBeCloseTo(expected.scale, 6);
    },
  );

  it.each([
    [{ rope_scaling: { type: 'longrope', factor: 2 } }, 'config.json: rope_scaling is {"type":"longrope","factor":2}'],
    [
      { rope_parameters: { rope_type: 'linear' } },
      'config.json: rope_parameters: factor is undefined: a number above 0',
    ],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, 'rope_scaling: factor is 0: a number above 0 is needed'],
    [{ rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } }, 'partial_rotary_factor is 0.5'],
    [{ partial_rotary_factor: 0.25 }, 'config.json: partial_rotary_factor is 0.25: supported is 1'],
    [{ rope_parameters: { full_attention: { rope_type: 'default' } } }, 'full_attention in it is not supported'],
    [{ rope_scaling: { type: 'default', mrope_section: [16, 24] } }, 'mrope_section in it is not supported'],
    [{ rope_theta: -1 }, 'rope_theta is -1: a number above 0 is needed'],
    [{ rope_interleaved: true }, 'rope_interleaved is true'],
  ])('is refused by name: %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });
});

describe('the configuration', () => {
  it('has the shape of grouped heads', () => {
    const site = { name: 'self', layers: 2, kvHeads: 2, headDim: 16, queryHeads: 4 };
    expect(shapeOf(parse({})).sites).toEqual([site]);
    expect(shapeOf(parse({ head_dim: 24 })).sites).toEqual([{ ...site, headDim: 24 }]);
    const even = { name: 'self', layers: 2, kvHeads: 4, headDim: 16 };
    expect(shapeOf(parse({ num_key_value_heads: null })).sites).toEqual([even]);
  });

  it('has the biases and norms of its family', () => {
    const none = { qkv: false, output: false, mlp: false };
    expect(parse({})).toMatchObject({ biases: none, headNorms: false });
    expect(parse({ attention_bias: true }).biases).toEqual({ ...none, qkv: true, output: true });
    expect(parse({ mlp_bias: true }).biases).toEqual({ ...none, mlp: true });
    expect(parse({ model_type: 'qwen2' }).biases).toEqual({ ...none, qkv: true });
    expect(parse({ model_type: 'qwen3' })).toMatchObject({ biases: none, headNorms: true, headDim: 128 });
    expect(parse({ model_type: 'mistral', sliding_window: null }).biases).toEqual(none);
  });

  it("takes its family's end token where no file has one", () => {
    expect(parse({}).eosTokenIds).toEqual([2]);
    expect(parse({ model_type: 'qwen2' }).eosTokenIds).toEqual([]);
    expect(parseConfig({ ...llama, eos_token_id: 3 }, { eos_token_id: [4, 5] }).eosTokenIds).toEqual([4, 5]);
  });

  it.each([
    [{ num_key_value_heads: 3 }, 'num_key_value_heads is 3: does not divide num_attention_heads 4'],
    [{ head_dim: 12 }, 'head_dim is 12: heads are 12 wide; a multiple of 8 is needed'],
    [{ hidden_size: 40 }, 'num_attention_heads is 4: heads are 10 wide'],
    [{ hidden_act: 'swiglu' }, 'hidden_act is "swiglu"'],
    [{ quantization_config: { bits: 4 } }, 'quantization_config is'],
    [{ model_type: 'mistral', sliding_window: 16 }, 'sliding_window is 16: a window of 16 in a context of 32'],
    [{ model_type: 'mistral', max_position_embeddings: 8192 }, 'a window of 4096 in a context of 8192'],
    [
      { model_type: 'qwen2', use_sliding_window: true, sliding_window: 16, max_window_layers: 1 },
      'sliding_window is 16',
    ],
    [{ model_type: 'qwen3', layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types is'],
  ])('is refused by name: %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });

  it.each([
    { model_type: 'mistral', sliding_window: null },
    { model_type: 'mistral', sliding_window: 32 },
    { model_type: 'qwen2', use_sliding_window: false, sliding_window: 16 },
    { model_type: 'qwen2', use_sliding_window: true, sliding_window: 16, max_window_layers: 2 },
    { model_type: 'llama', sliding_window: 16, pretraining_tp: 2 },
  ])('is taken where no token is out of sight: %j', (changes) => {
    expect(parse(changes).contextLength).toBe(32);
  });
});
