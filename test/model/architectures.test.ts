import { describe, expect, it } from 'vitest';

import type { Architecture } from '../../src/model/architecture.js';
import { architectureNamed, architectureOf } from '../../src/model/architectures.js';
import type { AttentionSite } from '../../src/prefix/kv.js';

/** A small configuration of every architecture. */
const configs = [
  { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 2, vocab_size: 100, n_positions: 32 },
  {
    ...{ model_type: 'llama', hidden_size: 64, num_attention_heads: 4, num_key_value_heads: 2, num_hidden_layers: 2 },
    ...{ vocab_size: 100, max_position_embeddings: 32, intermediate_size: 96, attention_bias: true, mlp_bias: true },
  },
  {
    ...{ model_type: 'bart', d_model: 64, vocab_size: 100, max_position_embeddings: 32 },
    ...{ encoder_layers: 3, encoder_attention_heads: 2, encoder_ffn_dim: 96 },
    ...{ decoder_layers: 2, decoder_attention_heads: 4, decoder_ffn_dim: 80 },
  },
];
/** Sites of each, by its name. */
const sites: Record<string, readonly AttentionSite[]> = {
  gpt2: [{ name: 'self', layers: 2, kvHeads: 4, headDim: 16 }],
  llama: [{ name: 'self', layers: 2, kvHeads: 2, headDim: 16, queryHeads: 4 }],
  bart: [
    { name: 'encoder', layers: 3, kvHeads: 2, headDim: 32 },
    { name: 'decoder', layers: 2, kvHeads: 4, headDim: 16 },
    { name: 'cross', layers: 2, kvHeads: 4, headDim: 16 },
  ],
};

describe.each(configs)('architecture $model_type', (json) => {
  const architecture: Architecture = architectureOf(json);
  const config = architecture.parseConfig(json);

  it('is the one of its name', () => {
    expect(architecture.name).toBe(json.model_type);
    expect(architectureNamed(json.model_type)).toBe(architecture);
  });

  it('describes the shape that prefixes must fit', () => {
    const shape = { width: 64, contextLength: 32, vocabularySize: 100 };
    expect(architecture.shape(config)).toMatchObject(shape);
    expect(architecture.shape(config).sites).toEqual(sites[json.model_type]);
  });

  it('can be read again from the JSON of a manifest', () => {
    const read: unknown = JSON.parse(JSON.stringify(config));
    expect(read).toStrictEqual(config);
    expect(architecture.shape(read)).toEqual(architecture.shape(config));
  });

  it('compiles the weights of a checkpoint in their order, none of them narrower', () => {
    const weights = architecture.weights(config);
    const compiled = architecture.compiledWeights(config);
    expect(compiled.map(({ name }) => name)).toEqual(weights.map(({ name }) => name));
    compiled.forEach(({ shape }, i) => {
      shape.forEach((size, dimension) => expect(size).toBeGreaterThanOrEqual(weights[i]?.shape[dimension] ?? NaN));
    });
    const embeddings = weights.find(({ name }) => name === architecture.tokenEmbeddings);
    expect(embeddings?.shape).toEqual([100, 64]);
  });

  it('finds its own weights among the tensors of a checkpoint', () => {
    for (const { name } of architecture.weights(config)) expect(architecture.weightName(name)).toBe(name);
  });

  it('writes every graph that it names', () => {
    const weights = architecture.compiledWeights(config).map((spec) => ({ ...spec, offset: 0 }));
    for (const name of architecture.graphs(config)) {
      const graph = architecture.writeGraph(name, { config, weights, weightsFile: 'weights.bin', kv: 'float32' });
      expect(graph.toBytes().length, name).toBeGreaterThan(100);
    }
  });
});

it.each(['mistral', 'qwen2', 'qwen3'])('reads a %s as a model of the Llama family', (type) => {
  expect(architectureOf({ model_type: type }).name).toBe('llama');
});

it('refuses an architecture that it does not know, naming the field', () => {
  expect(() => architectureNamed('mbart')).toThrow(
    'model.json: architecture is "mbart": the families that can be served are gpt2 (',
  );
  expect(() => architectureOf({ model_type: 'constructor' })).toThrow('config.json: model_type is "constructor"');
});
