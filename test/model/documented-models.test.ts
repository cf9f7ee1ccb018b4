import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect } from 'vitest';

import { compileModel, readManifest } from '../../src/model/compile/compiled-model.js';
import { encodeSafetensors, readSafetensorsHeader } from '../../src/safetensors/index.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { type SeenOutcome, testDocumentedRows } from '../support/documented-rows.js';
import { encodeTensors } from '../support/encode-tensors.js';
import { golden, readTensors } from '../support/goldens.js';
import { llamaCheckpoint } from '../support/llama-checkpoint.js';
import { randomBart } from '../support/random-bart.js';

const MODEL = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 548118077\n';
const PAGE = '<!DOCTYPE html>\n<html class=""><head><title>Log in</title></head></html>\n';

/** What a row is about, made of a checkpoint. */
interface Case {
  readonly family: 'gpt2' | 'bart' | 'llama';
  readonly change: (copy: CheckpointCopy) => Promise<unknown>;
  /** Whether what is served is another model than the checkpoint before. */
  readonly isOther?: boolean;
  /** The directory that is opened, where it is not the checkpoint's. */
  readonly open?: (copy: CheckpointCopy) => string;
}

type Change = Case['change'];
const gpt2 = (change: Change, more: Partial<Case> = {}): Case => ({ family: 'gpt2', change, ...more });
const bart = (change: Change, more: Partial<Case> = {}): Case => ({ family: 'bart', change, ...more });

const llama = (change: Change, more: Partial<Case> = {}): Case => ({ family: 'llama', change, ...more });

const other = { isOther: true };
const nothing: Change = () => Promise.resolve();
const config =
  (fields: Record<string, unknown>): Change =>
  (copy) =>
    copy.changeConfig(fields);
const generation =
  (fields: Record<string, unknown>): Change =>
  (copy) =>
    fs.writeFile(copy.file('generation_config.json'), JSON.stringify(fields));
const content =
  (file: string, text: string | Uint8Array): Change =>
  (copy) =>
    fs.writeFile(copy.file(file), text);
const cut =
  (file: string): Change =>
  async (copy) =>
    fs.truncate(copy.file(file), Math.floor((await fs.stat(copy.file(file))).size / 2));
const typed =
  (type: Parameters<typeof encodeTensors>[1]): Change =>
  (copy) =>
    fs.writeFile(copy.file(MODEL), encodeTensors(readTensors(copy.file(MODEL)), type));
/** Other files in place of the weights. */
const instead =
  (...files: string[]): Change =>
  async (copy) => {
    await fs.rm(copy.file(MODEL));
    for (const file of files) await fs.writeFile(copy.file(file), 'weights');
  };
const both =
  (...changes: Change[]): Change =>
  async (copy) => {
    for (const change of changes) await change(copy);
  };
/** Puts `to` beside the tensor `from`, with its values times `factor`. */
const copied =
  (from: string, to: string, factor = 1): Change =>
  (copy) =>
    copy.changeTensors((tensors) => {
      const { shape, data } = tensors[from]!;
      tensors[to] = { shape, data: data.map((value) => value * factor) };
    });
const renamed =
  (from: RegExp, to: string): Change =>
  (copy) =>
    copy.changeTensors((tensors) => {
      for (const [name, tensor] of Object.entries(tensors)) {
        delete tensors[name];
        tensors[name.replace(from, to)] = tensor;
      }
    });
const without =
  (name: string): Change =>
  (copy) =>
    copy.changeTensors((tensors) => void delete tensors[name]);
const masks: Change = (copy) =>
  copy.changeTensors((tensors) => {
    tensors['transformer.h.0.attn.bias'] = { shape: [1, 1, 2, 2], data: Float32Array.of(1, 0, 1, 1) };
    tensors['transformer.h.0.attn.masked_bias'] = { shape: [], data: Float32Array.of(-1e4) };
  });
/** Two shards and their index. */
const sharded: Change = async (copy) => {
  const tensors = Object.entries(readTensors(copy.file(MODEL)));
  const files = [1, 2].map((shard) => `model-0000${shard}-of-00002.safetensors`);
  const map: Record<string, string> = {};
  for (const [i, file] of files.entries()) {
    const part = tensors.filter((_, at) => at % 2 === i);
    for (const [name] of part) map[name] = file;
    await fs.writeFile(copy.file(file), encodeSafetensors(Object.fromEntries(part)));
  }
  await fs.writeFile(copy.file(INDEX), JSON.stringify({ metadata: {}, weight_map: map }));
  await fs.rm(copy.file(MODEL));
};
const removed =
  (file: string): Change =>
  (copy) =>
    fs.rm(copy.file(file));
const emptied: Change = async (copy) => {
  for (const file of await fs.readdir(copy.directory)) await fs.rm(copy.file(file));
};
const moved =
  (to: string): Change =>
  async (copy) => {
    const inner = copy.file(to);
    await fs.mkdir(inner, { recursive: true });
    for (const file of await fs.readdir(copy.directory, { withFileTypes: true })) {
      if (file.isFile()) await fs.rename(copy.file(file.name), path.join(inner, file.name));
    }
  };

/** The rotation of the Llama, as Transformers 4 wrote it. */
const ROPE_SCALING = {
  ...{ rope_type: 'llama3', factor: 4, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 64,
};

const WTE = 'transformer.wte.weight';
const SHARED = 'model.shared.weight';

const CASES: Record<string, Case> = {
  // Files
  'one file, `model.safetensors`': gpt2(nothing),
  'shards and their index, `model.safetensors.index.json`': gpt2(sharded),
  'a shard is missing': gpt2(both(sharded, removed('model-00002-of-00002.safetensors'))),
  'shards without the index': gpt2(both(sharded, removed(INDEX))),
  'several formats in one directory': gpt2(content('pytorch_model.bin', 'weights')),
  '`pytorch_model.bin` only': gpt2(instead('pytorch_model.bin')),
  '`pytorch_model.bin` only, of a BART': bart(instead('pytorch_model.bin')),
  'a GGUF file only': gpt2(instead('gpt2.Q8_0.gguf')),
  '`tf_model.h5` or `flax_model.msgpack` only': gpt2(instead('flax_model.msgpack')),
  'a directory of an adapter': gpt2(both(emptied, content('adapter_config.json', '{}'))),
  "the Hub's cache of a model, or the output of a Trainer": gpt2(moved('snapshots/607a30d783df')),
  'no directory': gpt2(nothing, { open: ({ directory }) => `${directory}-elsewhere` }),
  'the path of a file': gpt2(nothing, { open: (copy) => copy.file(MODEL) }),
  'a Git LFS pointer': gpt2(content(MODEL, POINTER)),
  'a web page': gpt2(content(MODEL, PAGE)),
  'weights that were cut off': gpt2(cut(MODEL)),
  '`config.json` that is a Git LFS pointer': gpt2(content('config.json', POINTER)),
  '`config.json`, or `generation_config.json`, that was cut off': gpt2(content('generation_config.json', '{"eos')),
  'an index that is a web page': gpt2(both(sharded, content(INDEX, PAGE))),
  // Weights
  F32: gpt2(nothing),
  'F16, BF16': gpt2(typed('BF16'), other),
  F64: gpt2(typed('F64')),
  'I8 and other types': gpt2(typed('I8')),
  'names with and without `transformer.`': gpt2(renamed(/^transformer\./, '')),
  'causal masks (`attn.bias`, `attn.masked_bias`)': gpt2(masks),
  '`lm_head.weight` equal to `wte.weight`': gpt2(copied(WTE, 'lm_head.weight')),
  '`lm_head.weight` without `wte.weight`': gpt2(renamed(/^transformer\.wte\.weight$/, 'lm_head.weight')),
  '`lm_head.weight` that differs from `wte.weight`': gpt2(copied(WTE, 'lm_head.weight', -1), other),
  '`tie_word_embeddings` false and `lm_head.weight`': gpt2(
    both(config({ tie_word_embeddings: false }), copied(WTE, 'lm_head.weight', -1)),
    other,
  ),
  '`tie_word_embeddings` false without `lm_head.weight`': gpt2(config({ tie_word_embeddings: false })),
  'a weight is missing': gpt2(without('transformer.h.0.ln_1.weight')),
  'heads of other tasks (`score.weight`)': gpt2(copied('transformer.ln_f.bias', 'score.weight')),
  'BART: names with and without `model.`': bart(renamed(/^model\./, '')),
  'BART: copies of `shared.weight` (`embed_tokens.weight`, `lm_head.weight`)': bart(
    both(copied(SHARED, 'model.encoder.embed_tokens.weight'), copied(SHARED, 'lm_head.weight')),
  ),
  'BART: a copy without `shared.weight`': bart(renamed(/^model\.shared\.weight$/, 'lm_head.weight')),
  'BART: `lm_head.weight` that differs from `shared.weight`': bart(copied(SHARED, 'lm_head.weight', -1), other),
  'BART: `embed_tokens.weight` of a side that differs': bart(copied(SHARED, 'model.encoder.embed_tokens.weight', 2)),
  'BART: no `final_logits_bias`': bart(without('model.final_logits_bias'), other),
  'Llama: names with and without `model.`': llama(renamed(/^model\./, '')),
  'Llama: `rotary_emb.inv_freq`': llama(copied('model.norm.weight', 'model.layers.0.self_attn.rotary_emb.inv_freq')),
  'Llama: `lm_head.weight` beside tied embeddings': llama(copied('model.embed_tokens.weight', 'lm_head.weight')),
  // Configuration
  '`eos_token_id` outside of the vocabulary': gpt2(
    both(config({ eos_token_id: 50256 }), generation({ eos_token_id: 50256 })),
  ),
  'fields that the family does not read': gpt2(config({ type_vocab_size: 2, is_decoder: true, my_own: 1 })),
  'settings of generation that requests have': gpt2(
    both(removed('generation_config.json'), config({ repetition_penalty: 1.2, no_repeat_ngram_size: 3 })),
  ),
  'settings of generation that no request has': gpt2(generation({ bad_words_ids: [[5]] })),
  'BART: forced tokens, `no_repeat_ngram_size`, lengths': bart(generation({ forced_bos_token_id: 0, min_length: 5 })),
  'BART: beams': bart(generation({ num_beams: 4, length_penalty: 2 })),
  "names of other families for GPT-2's fields (`hidden_size`)": gpt2(config({ hidden_size: 64, n_embd: undefined })),
  '`quantization_config`': gpt2(config({ quantization_config: { load_in_8bit: true } })),
  '`add_cross_attention`, `pruned_heads`': gpt2(config({ add_cross_attention: true })),
  'BART: `tie_encoder_decoder`, `normalize_before`': bart(config({ tie_encoder_decoder: true })),
  'Llama: `rope_type` default, linear, dynamic, llama3, yarn': llama(
    config({ rope_parameters: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 } }),
    other,
  ),
  'Llama: other types (`longrope`), rotation of a part of each head': llama(config({ partial_rotary_factor: 0.5 })),
  'Mistral, Qwen: a window that the context does not fit into': llama(
    config({ model_type: 'mistral', sliding_window: 64 }),
  ),
  'Llama: `pretraining_tp`': llama(config({ pretraining_tp: 4 })),
  'another family': gpt2(config({ model_type: 'gpt_neox' })),
  // Eras
  'GPT-2 of 2019: no `model_type`, `n_ctx`, masks': gpt2(
    both(masks, config({ model_type: undefined, n_ctx: 128, predict_special_tokens: true, output_past: true })),
  ),
  'GPT-2 of Transformers 4: `torch_dtype`, `task_specific_params`, generation in `config.json`': gpt2(
    both(
      masks,
      config({ torch_dtype: 'float32', gradient_checkpointing: false, task_specific_params: { a: 1 }, max_length: 50 }),
    ),
  ),
  'GPT-2 of Transformers 5: `dtype`, `generation_config.json`': gpt2(
    both(
      config({ dtype: 'float32', tie_word_embeddings: true }),
      generation({ eos_token_id: 0, output_attentions: false }),
    ),
  ),
  'BART of 2020: `extra_pos_embeddings`, `force_bos_token_to_be_generated`': bart(
    config({
      extra_pos_embeddings: 2,
      normalize_before: false,
      force_bos_token_to_be_generated: true,
      output_past: true,
    }),
  ),
  'BART of Transformers 4: `forced_bos_token_id` in `config.json`': bart(
    config({ forced_bos_token_id: 0, torch_dtype: 'float32', num_hidden_layers: 12, gradient_checkpointing: false }),
  ),
  'BART of Transformers 5: `generation_config.json`': bart(generation({ decoder_start_token_id: 2, eos_token_id: 2 })),
  'Llama of Transformers 4: `rope_theta`, `rope_scaling`, `torch_dtype`': llama(
    config({
      ...{ rope_parameters: undefined, rope_theta: 10000, rope_scaling: ROPE_SCALING },
      ...{ dtype: undefined, torch_dtype: 'bfloat16' },
    }),
  ),
  'Llama of Transformers 5: `rope_parameters`, `dtype`': llama(nothing),
};

/** Directories of the checkpoints that cases change. */
const ORIGINALS: Record<Case['family'], () => string> = {
  gpt2: () => golden('tiny-a').directory,
  bart: () => randomBart().directory,
  llama: llamaCheckpoint,
};

let directory: string;
let cache: string;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-documented-'));
  cache = path.join(directory, 'cache');
});
afterEach(() => fs.rm(directory, { recursive: true }));

testDocumentedRows<Case>('Base models', CASES, async ({ family, change, isOther = false, open }) => {
  const original = ORIGINALS[family]();
  const copy = await CheckpointCopy.of(original, path.join(directory, 'model'));
  await change(copy);
  const source = open?.(copy) ?? copy.directory;
  let compiled: string;
  try {
    compiled = await compileModel({ source, cache });
  } catch (error) {
    expect(error).toMatchObject({ name: 'CheckpointError' });
    return { outcome: 'refused', messages: [(error as Error).message] };
  }
  const manifest = await readManifest(compiled);
  const before = await readManifest(await compileModel({ source: original, cache }));
  expect(manifest?.fingerprint !== before?.fingerprint).toBe(isOther);
  return { outcome: await outcomeOf(copy), messages: manifest?.warnings ?? [] } satisfies SeenOutcome;
});

/** Converted, unless every weight is in the type that is served. */
async function outcomeOf(copy: CheckpointCopy): Promise<'taken' | 'converted'> {
  const files = (await fs.readdir(copy.directory)).filter((file) => file.endsWith('.safetensors'));
  const headers = await Promise.all(files.map((file) => readSafetensorsHeader(copy.file(file))));
  return headers.every(({ tensors }) => [...tensors.values()].every(({ dtype }) => dtype === 'F32'))
    ? 'taken'
    : 'converted';
}
