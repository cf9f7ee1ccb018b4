import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { bart } from '../../src/model/bart/architecture.js';
import { type BartConfig, parseConfig } from '../../src/model/bart/config.js';
import { type BaseModel, type PrefixKv, rowWidth, siteNamed } from '../../src/prefix/kv.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { byteOfCharacter } from '../../src/tokenizer/byte-alphabet.js';
import { tinyTokenizerJson } from '../tokenizer/tiny-tokenizer.js';
import { BartReference } from './bart-reference.js';

/** The sides differ in layers and in heads. Half of its 64 positions may be virtual tokens. */
const CONFIG = {
  model_type: 'bart',
  d_model: 48,
  encoder_layers: 3,
  encoder_attention_heads: 3,
  encoder_ffn_dim: 64,
  decoder_layers: 2,
  decoder_attention_heads: 6,
  decoder_ffn_dim: 80,
  max_position_embeddings: 64,
  vocab_size: 264,
  activation_function: 'gelu',
  decoder_start_token_id: 2,
  bos_token_id: 0,
  pad_token_id: 1,
  eos_token_id: 2,
  forced_eos_token_id: null,
};
const SPECIAL = ['<s>', '<pad>', '</s>', '<unk>'];

/** A BART's checkpoint, and what it computes. */
export interface RandomBart {
  readonly directory: string;
  readonly config: BartConfig;
  readonly reference: BartReference;
}

let made: RandomBart | undefined;

/** A BART of numbers without a meaning, whose texts are bytes; its directory, `random-bart`, is removed when the process ends. */
export function randomBart(): RandomBart {
  made ??= make();
  return made;
}

/** Virtual tokens of a prefix; none at a site that is left out. */
export interface VirtualTokens {
  readonly encoder?: number;
  readonly decoder?: number;
  readonly cross?: number;
  /** Embeddings before the source. */
  readonly embeddings?: number;
  readonly shift?: number;
}

export function randomPrefix(base: BaseModel, { embeddings = 0, shift = 0, ...sites }: VirtualTokens, seed: number) {
  const rows = Object.entries(sites)
    .filter(([, length]) => length > 0)
    .map(([site, length], i) => [site, wave(length * rowWidth(siteNamed(base, site)), seed * 5 + i, 2)] as const);
  const kv: PrefixKv = {
    ...{ length: sites.decoder ?? 0, shift, rows: new Map(rows) },
    ...(embeddings > 0 && { sourceEmbeddings: wave(embeddings * base.width, seed * 5 + 4, 2) }),
  };
  return kv;
}

/** The two files of a prefix for an encoder-decoder. */
export function randomAdapter(base: BaseModel, tokens: Omit<VirtualTokens, 'embeddings' | 'shift'>, seed: number) {
  const { rows } = randomPrefix(base, tokens, seed);
  const tensors = [...rows].map(([site, data]) => {
    const columns = rowWidth(siteNamed(base, site));
    return [`${site}.prompt_embeddings`, { shape: [data.length / columns, columns], data }] as const;
  });
  return {
    config: JSON.stringify({ peft_type: 'PREFIX_TUNING', task_type: 'SEQ_2_SEQ_LM', sites: [...rows.keys()] }),
    model: encodeSafetensors(Object.fromEntries(tensors)),
  };
}

function make(): RandomBart {
  const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-bart-'));
  process.once('exit', () => fs.rmSync(parent, { recursive: true, force: true }));
  const directory = path.join(parent, 'random-bart');
  fs.mkdirSync(directory);
  const config = parseConfig(CONFIG);
  const tensors = bart.weights(config).map(({ name, shape }, i) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const isNorm = /norm.*\.weight$/.test(name);
    return [name, shape, wave(length, i, isNorm ? 0.2 : 0.35).map((x) => (isNorm ? 1 + x : x))] as const;
  });
  const checkpoint = tensors.map(([name, shape, data]) => [`model.${name}`, { shape, data }]);
  fs.writeFileSync(path.join(directory, 'model.safetensors'), encodeSafetensors(Object.fromEntries(checkpoint)));
  fs.writeFileSync(path.join(directory, 'config.json'), JSON.stringify(CONFIG));
  fs.writeFileSync(path.join(directory, 'tokenizer.json'), JSON.stringify(tokenizerJson()));
  const values = new Map(tensors.map(([name, , data]) => [name, data]));
  return { directory, config, reference: new BartReference(config, values) };
}

function tokenizerJson(): object {
  const { added_tokens: added, model, ...rest } = tinyTokenizerJson();
  const [endToken] = added as object[];
  return {
    ...rest,
    added_tokens: SPECIAL.map((content, id) => ({ ...endToken, content, id })),
    post_processor: {
      ...{ type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] },
      ...{ trim_offsets: true, add_prefix_space: false },
    },
    model: {
      ...{ ...model, merges: [] },
      vocab: Object.fromEntries([...SPECIAL, ...byteOfCharacter.keys()].map((token, id) => [token, id])),
    },
  };
}

/** Values in [-size, size] without a pattern. */
function wave(length: number, seed: number, size: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => size * Math.sin(seed * 3.1 + i * i * 0.37 + i * 1.3));
}
