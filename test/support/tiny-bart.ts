import fs from 'node:fs/promises';
import path from 'node:path';

import { bart } from '../../src/model/bart/architecture.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { elementCount } from '../../src/runtime/ort/tensor.js';
import { RandomStream } from '../../src/tuning/start/random-stream.js';

const CONFIG = {
  ...{ model_type: 'bart', d_model: 32, vocab_size: 120, max_position_embeddings: 40, activation_function: 'gelu' },
  ...{ encoder_layers: 2, encoder_attention_heads: 2, encoder_ffn_dim: 48, scale_embedding: true },
  ...{ decoder_layers: 3, decoder_attention_heads: 4, decoder_ffn_dim: 40, eos_token_id: 2 },
};

const GENERATION = { decoder_start_token_id: 2 };

/**
 * Writes a BART of random weights, as a checkpoint whose tokenizer is empty; its sides differ in layers and heads. Weights are small enough that
 * float32 is exact to five digits.
 */
export async function writeTinyBart(directory: string): Promise<void> {
  const random = new RandomStream(7, 0);
  const config = bart.parseConfig(CONFIG);
  const tensors = bart.weights(config).map(({ name, shape }) => {
    const [scale, mean] =
      name.includes('norm') && name.endsWith('weight') ? [0.1, 1] : [shape.length === 1 ? 0.1 : 0.25, 0];
    const data = Float32Array.from({ length: elementCount(shape) }, () => mean + scale * random.normal());
    return [name === 'final_logits_bias' ? name : `model.${name}`, { shape, data }] as const;
  });
  await fs.mkdir(directory, { recursive: true });
  const json = { config: CONFIG, generation_config: GENERATION, tokenizer: {} };
  for (const [name, content] of Object.entries(json)) {
    await fs.writeFile(path.join(directory, `${name}.json`), JSON.stringify(content));
  }
  await fs.writeFile(path.join(directory, 'model.safetensors'), encodeSafetensors(Object.fromEntries(tensors)));
}
