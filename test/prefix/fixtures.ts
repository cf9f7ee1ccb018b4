import { type BaseModel, type PrefixEncoder, type PrefixKv, selfKv } from '../../src/prefix/kv.js';
import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import type { PrefixInfo, PrefixUpload } from '../../src/prefix/store.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';

/** A model so small that its prefixes fit in a few hundred bytes. Half of its context is 8. */
export const base: BaseModel = {
  id: 'tiny',
  fingerprint: '0123456789abcdef'.repeat(4),
  sites: [{ name: 'self', layers: 2, kvHeads: 2, headDim: 2 }],
  width: 4,
  contextLength: 16,
  vocabularySize: 50,
};
/** Of a row: key and value of 2 heads in 2 layers. */
export const columns = 16;

export type Json = Record<string, unknown>;

/** The config that PEFT writes for `rows` virtual tokens, with some fields replaced; undefined removes one. */
export function config(changes: Json = {}, rows = 3): Uint8Array {
  const value = {
    auto_mapping: null,
    base_model_name_or_path: 'models/tiny',
    encoder_hidden_size: 4,
    inference_mode: true,
    modules_to_save: null,
    num_attention_heads: 2,
    num_layers: 2,
    num_transformer_submodules: 1,
    num_virtual_tokens: rows,
    peft_type: 'PREFIX_TUNING',
    peft_version: '0.21.2',
    prefix_projection: false,
    task_type: 'CAUSAL_LM',
    token_dim: 4,
    ...changes,
  };
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Values that tell where they stand. */
export function values(count: number, start = 0): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(start + i)));
}

/** An adapter's tensor file. */
export function model(rows = 3, width = columns, data = values(rows * width)): Uint8Array<ArrayBuffer> {
  return encodeSafetensors({ prompt_embeddings: { shape: [rows, width], data } });
}

/** A safetensors file of one tensor of any type, whose bytes are given. */
export function rawModel(dtype: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = JSON.stringify({ prompt_embeddings: { dtype, shape, data_offsets: [0, data.length] } });
  const file = Buffer.alloc(8 + header.length + data.length);
  file.writeBigUInt64LE(BigInt(header.length));
  file.write(header, 8);
  file.set(data, 8 + header.length);
  return file;
}

export function prefixFiles(rows = 3, start = 0): AdapterFiles {
  return { config: config({}, rows), model: model(rows, columns, values(rows * columns, start)) };
}

export function softPromptFiles(rows = 3): AdapterFiles {
  return { config: config({ peft_type: 'PROMPT_TUNING' }, rows), model: model(rows, base.width) };
}

/** Repeats every virtual token's embedding (or id) in each column block, and counts its calls. */
export class FakeEncoder implements PrefixEncoder {
  calls = 0;

  async encodeEmbeddings(embeddings: Float32Array, length: number): Promise<PrefixKv> {
    this.calls++;
    const rows = new Float32Array(length * columns).map(
      (_, i) => embeddings[Math.floor(i / columns) * base.width + (i % base.width)] as number,
    );
    return selfKv(length, rows);
  }

  async encodeTokens(tokens: readonly number[]): Promise<PrefixKv> {
    this.calls++;
    const rows = Float32Array.from({ length: tokens.length * columns }, (_, i) => tokens[Math.floor(i / columns)] ?? 0);
    return selfKv(tokens.length, rows);
  }
}

/** An upload as a store sees it, of files of some size; `seed` decides its content and with it its version. */
export function storeUpload(name: string, seed: number, size = 100): PrefixUpload {
  const info: PrefixInfo = {
    name,
    version: seed.toString(16).padStart(12, '0').padEnd(64, '0'),
    kind: 'soft_prompt',
    placement: 'prefix',
    numVirtualTokens: 3,
    bytes: 3 * columns * 4,
    created: 1_700_000_000 + seed,
    baseModel: base.id,
    warnings: ['seen'],
  };
  const bytes = (file: number): Uint8Array => new Uint8Array(size + seed).fill(file + seed);
  return { info, files: { config: bytes(1), model: bytes(2) }, kv: bytes(3), text: undefined };
}
