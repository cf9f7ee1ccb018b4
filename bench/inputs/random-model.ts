import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { exists } from '#src/disk/durable.js';

/** Sizes that decide the cost of a GPT-2. */
export interface Shape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly contextLength: number;
}

/** GPT-2 "small": 124 million parameters. */
export const GPT2_124M: Shape = { layers: 12, width: 768, heads: 12, contextLength: 1024 };

const END_OF_TEXT = '<|endoftext|>';
const VOCABULARY_SIZE = 50_257;
/** Number of values that are made and written at once. */
const PIECE = 1 << 20;

/** A tensor of a random checkpoint. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: 'random' | 'ones' | 'zeros';
}

/**
 * Writes a Hugging Face GPT-2 checkpoint with random weights under `parent`, unless it is there, and returns its directory.
 * The same shape and seed give the same bytes. It appears all at once: an interrupted run leaves nothing that looks finished.
 */
export async function randomModel(parent: string, shape: Shape = GPT2_124M, seed = 1): Promise<string> {
  return writeCheckpoint(path.join(parent, `gpt2-${shape.layers}x${shape.width}-${seed}`), {
    config: config(shape),
    tokenizer: byteLevelBpe(VOCABULARY_SIZE, { after: [END_OF_TEXT] }),
    tensors: tensors(shape),
    seed,
  });
}

/** Content of a random checkpoint. */
export interface RandomCheckpoint {
  readonly config: object;
  /** Content of `tokenizer.json`. */
  readonly tokenizer: object;
  readonly tensors: readonly Tensor[];
  readonly seed: number;
}

/** Writes a checkpoint unless its directory is there, and returns the directory. */
export async function writeCheckpoint(directory: string, checkpoint: RandomCheckpoint): Promise<string> {
  if (await exists(directory)) return directory;
  const { config, tokenizer, tensors, seed } = checkpoint;
  const unfinished = `${directory}.${process.pid}.tmp`;
  await fs.mkdir(unfinished, { recursive: true });
  try {
    await fs.writeFile(path.join(unfinished, 'config.json'), JSON.stringify(config, undefined, 2));
    await fs.writeFile(path.join(unfinished, 'tokenizer.json'), JSON.stringify(tokenizer));
    await writeWeights(path.join(unfinished, 'model.safetensors'), tensors, seed);
    await fs.rename(unfinished, directory);
  } finally {
    await fs.rm(unfinished, { recursive: true, force: true });
  }
  return directory;
}

/** Uniform numbers in [-1, 1) from a seed (xorshift32): the same on every machine. */
export function uniform(seed: number | string): () => number {
  let state = createHash('sha256').update(String(seed)).digest().readUInt32LE(0) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}

function config({ layers, width, heads, contextLength }: Shape): object {
  const endId = VOCABULARY_SIZE - 1;
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    activation_function: 'gelu_new',
    layer_norm_epsilon: 1e-5,
    n_layer: layers,
    n_embd: width,
    n_head: heads,
    n_positions: contextLength,
    vocab_size: VOCABULARY_SIZE,
    bos_token_id: endId,
    eos_token_id: endId,
    tie_word_embeddings: true,
  };
}

function tensors({ layers, width, contextLength }: Shape): Tensor[] {
  const random = (name: string, ...shape: number[]): Tensor => ({ name, shape, values: 'random' });
  const norm = (name: string): Tensor[] => [
    { name: `${name}.weight`, shape: [width], values: 'ones' },
    { name: `${name}.bias`, shape: [width], values: 'zeros' },
  ];
  const linear = (name: string, from: number, to: number): Tensor[] => [
    random(`${name}.weight`, from, to),
    random(`${name}.bias`, to),
  ];
  const layer = (h: string): Tensor[] => [
    ...norm(`${h}.ln_1`),
    ...linear(`${h}.attn.c_attn`, width, 3 * width),
    ...linear(`${h}.attn.c_proj`, width, width),
    ...norm(`${h}.ln_2`),
    ...linear(`${h}.mlp.c_fc`, width, 4 * width),
    ...linear(`${h}.mlp.c_proj`, 4 * width, width),
  ];
  return [
    random('transformer.wte.weight', VOCABULARY_SIZE, width),
    random('transformer.wpe.weight', contextLength, width),
    ...Array.from({ length: layers }, (_, index) => layer(`transformer.h.${index}`)).flat(),
    ...norm('transformer.ln_f'),
  ];
}

async function writeWeights(file: string, all: readonly Tensor[], seed: number): Promise<void> {
  const handle = await fs.open(file, 'wx');
  try {
    await handle.writeFile(safetensorsHeader(all));
    for (const tensor of all) {
      for (const piece of pieces(tensor, seed)) await handle.writeFile(piece);
    }
  } finally {
    await handle.close();
  }
}

/** Eight bytes of length, then JSON padded so that the values begin at a multiple of eight. */
function safetensorsHeader(all: readonly Tensor[]): Buffer {
  let end = 0;
  const entries = all.map(({ name, shape }) => {
    const begin = end;
    end += 4 * size(shape);
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
  });
  const json = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const header = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

/** A tensor's values, little-endian; random ones have GPT-2's initial standard deviation, 0.02. */
function* pieces({ name, shape, values }: Tensor, seed: number): Generator<Uint8Array> {
  const next = uniform(`${seed}/${name}`);
  const scale = 0.02 * Math.sqrt(3);
  const total = size(shape);
  for (let at = 0; at < total; at += PIECE) {
    const piece = new Float32Array(Math.min(PIECE, total - at));
    if (values === 'ones') piece.fill(1);
    if (values === 'random') for (let i = 0; i < piece.length; i++) piece[i] = scale * next();
    yield new Uint8Array(piece.buffer);
  }
}

/** Special tokens before and after the others. */
interface SpecialTokens {
  readonly before?: readonly string[];
  readonly after?: readonly string[];
}

/** Content of the `tokenizer.json` of a byte-level BPE: the 256 bytes, then pairs and triples of letters and the space. */
export function byteLevelBpe(
  size: number,
  { before = [], after = [] }: SpecialTokens,
  postProcessor: object | null = null,
): object {
  const bytes = byteAlphabet();
  const letters = Array.from('ĠabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ');
  const extend = (left: readonly string[]): [string, string][] =>
    left.flatMap((a) => letters.map((b): [string, string] => [a, b]));
  const pairs = extend(letters);
  const merges = [...pairs, ...extend(pairs.map((pair) => pair.join('')))].slice(
    0,
    size - bytes.length - before.length - after.length,
  );
  const tokens = [...before, ...bytes, ...merges.map((merge) => merge.join('')), ...after];
  const special = [...before, ...after];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content) => ({ id: tokens.indexOf(content), content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: postProcessor,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** Characters that stand for the bytes 0 to 255 in a byte-level tokenizer; printable ones stand for themselves. */
function byteAlphabet(): string[] {
  let substitutes = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(printable ? byte : 256 + substitutes++);
  });
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
