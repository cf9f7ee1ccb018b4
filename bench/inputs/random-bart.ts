import path from 'node:path';

import { byteLevelBpe, type Tensor, writeCheckpoint } from './random-model.js';

/** Sizes that decide the cost of a BART. */
export interface BartShape {
  /** Layers of the encoder, and of the decoder. */
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly positions: number;
}

/** BART "base": 139 million parameters. */
export const BART_BASE: BartShape = { layers: 6, width: 768, heads: 12, positions: 1024 };

const VOCABULARY_SIZE = 50_265;
const [BOS, PAD, EOS] = [0, 1, 2];

/** Writes a Hugging Face BART checkpoint with random weights under `parent`, as `randomModel` does a GPT-2. */
export function randomBart(parent: string, shape: BartShape = BART_BASE, seed = 1): Promise<string> {
  const roberta = { type: 'RobertaProcessing', sep: ['</s>', EOS], cls: ['<s>', BOS], trim_offsets: true };
  const special = { before: ['<s>', '<pad>', '</s>', '<unk>'], after: ['<mask>'] };
  return writeCheckpoint(path.join(parent, `bart-${shape.layers}x${shape.width}-${seed}`), {
    config: config(shape),
    tokenizer: byteLevelBpe(VOCABULARY_SIZE, special, { ...roberta, add_prefix_space: false }),
    tensors: tensors(shape),
    seed,
  });
}

function config({ layers, width, heads, positions }: BartShape): object {
  return {
    architectures: ['BartForConditionalGeneration'],
    model_type: 'bart',
    is_encoder_decoder: true,
    activation_function: 'gelu',
    d_model: width,
    encoder_layers: layers,
    decoder_layers: layers,
    encoder_attention_heads: heads,
    decoder_attention_heads: heads,
    encoder_ffn_dim: 4 * width,
    decoder_ffn_dim: 4 * width,
    max_position_embeddings: positions,
    vocab_size: VOCABULARY_SIZE,
    bos_token_id: BOS,
    pad_token_id: PAD,
    eos_token_id: EOS,
    decoder_start_token_id: EOS,
    normalize_before: false, // which CTranslate2's converter wants to see
    normalize_embedding: true,
    scale_embedding: false,
    tie_word_embeddings: true,
  };
}

function tensors({ layers, width, positions }: BartShape): Tensor[] {
  const random = (name: string, ...shape: number[]): Tensor => ({ name: `model.${name}`, shape, values: 'random' });
  const norm = (name: string): Tensor[] => [
    { name: `model.${name}.weight`, shape: [width], values: 'ones' },
    { name: `model.${name}.bias`, shape: [width], values: 'zeros' },
  ];
  const linear = (name: string, from: number, to: number): Tensor[] => [
    random(`${name}.weight`, to, from),
    random(`${name}.bias`, to),
  ];
  const attention = (name: string): Tensor[] =>
    ['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((matrix) => linear(`${name}.${matrix}`, width, width));
  const layer = (side: string, index: number, attentions: readonly string[]): Tensor[] => {
    const name = `${side}.layers.${index}`;
    return [
      ...attentions.flatMap((one) => [...attention(`${name}.${one}`), ...norm(`${name}.${one}_layer_norm`)]),
      ...linear(`${name}.fc1`, width, 4 * width),
      ...linear(`${name}.fc2`, 4 * width, width),
      ...norm(`${name}.final_layer_norm`),
    ];
  };
  const side = (name: string, attentions: readonly string[]): Tensor[] => [
    random(`${name}.embed_positions.weight`, positions + 2, width),
    ...norm(`${name}.layernorm_embedding`),
    ...Array.from({ length: layers }, (_, index) => layer(name, index, attentions)).flat(),
  ];
  return [
    { name: 'final_logits_bias', shape: [1, VOCABULARY_SIZE], values: 'zeros' },
    random('shared.weight', VOCABULARY_SIZE, width),
    ...side('encoder', ['self_attn']),
    ...side('decoder', ['self_attn', 'encoder_attn']),
  ];
}
