import path from 'node:path';

import type { BenchContext } from '../suite.js';
import { rowWidth } from '#src/prefix/kv.js';
import { byteLevelBpe, type Tensor, writeCheckpoint } from './random-model.js';

/** Sizes that decide the cost of a Llama. */
interface LlamaShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Width inside the MLP. */
  readonly inner: number;
  readonly positions: number;
}

/** SmolLM2 135M. */
const SMOLLM2_135M: LlamaShape = { layers: 30, width: 576, heads: 9, kvHeads: 3, inner: 1536, positions: 2048 };

const VOCABULARY_SIZE = 49_152;
const END_OF_TEXT = '<|endoftext|>';
const ROPE_THETA = 100_000;

/** The context with a random Llama of SmolLM2 135M's shape as its model. */
export async function withLlama(context: BenchContext): Promise<BenchContext> {
  const { layers, width, heads, kvHeads } = SMOLLM2_135M;
  const checkpoint = await randomLlama(path.dirname(context.checkpoint), SMOLLM2_135M);
  const prefixColumns = rowWidth({ name: 'self', layers, kvHeads, headDim: width / heads });
  return { ...context, checkpoint, prefixColumns };
}

/** Writes a Hugging Face Llama checkpoint with random weights and the embeddings as its head under `parent`, as `randomModel` does a GPT-2. */
function randomLlama(parent: string, shape: LlamaShape, seed = 1): Promise<string> {
  return writeCheckpoint(path.join(parent, `llama-${shape.layers}x${shape.width}-${seed}`), {
    config: config(shape),
    tokenizer: byteLevelBpe(VOCABULARY_SIZE, { before: [END_OF_TEXT] }),
    tensors: tensors(shape),
    seed,
  });
}

function config({ layers, width, heads, kvHeads, inner, positions }: LlamaShape): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    max_position_embeddings: positions,
    rms_norm_eps: 1e-5,
    rope_theta: ROPE_THETA,
    attention_bias: false,
    mlp_bias: false,
    vocab_size: VOCABULARY_SIZE,
    bos_token_id: 0,
    eos_token_id: 0,
    tie_word_embeddings: true,
  };
}

function tensors({ layers, width, heads, kvHeads, inner }: LlamaShape): Tensor[] {
  const random = (name: string, ...shape: number[]): Tensor => ({
    name: `model.${name}.weight`,
    shape,
    values: 'random',
  });
  const norm = (name: string): Tensor => ({ name: `model.${name}.weight`, shape: [width], values: 'ones' });
  const kvWidth = (width / heads) * kvHeads;
  const layer = (name: string): Tensor[] => [
    norm(`${name}.input_layernorm`),
    random(`${name}.self_attn.q_proj`, width, width),
    random(`${name}.self_attn.k_proj`, kvWidth, width),
    random(`${name}.self_attn.v_proj`, kvWidth, width),
    random(`${name}.self_attn.o_proj`, width, width),
    norm(`${name}.post_attention_layernorm`),
    random(`${name}.mlp.gate_proj`, inner, width),
    random(`${name}.mlp.up_proj`, inner, width),
    random(`${name}.mlp.down_proj`, width, inner),
  ];
  return [
    random('embed_tokens', VOCABULARY_SIZE, width),
    ...Array.from({ length: layers }, (_, index) => layer(`layers.${index}`)).flat(),
    norm('norm'),
  ];
}
