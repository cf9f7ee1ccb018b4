import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import { type BaseModel, rowWidth, siteNamed } from '../../src/prefix/kv.js';
import { encodeSafetensors, type FloatTensor } from '../../src/safetensors/index.js';
import { type Json, values } from './fixtures.js';

/** An encoder-decoder whose decoder is shallower than its encoder. Half of its context is 8. */
export const seq2seq: BaseModel = {
  id: 'tiny-bart',
  fingerprint: 'fedcba9876543210'.repeat(4),
  sites: [
    { name: 'encoder', layers: 4, kvHeads: 2, headDim: 2 },
    { name: 'decoder', layers: 3, kvHeads: 2, headDim: 2 },
    { name: 'cross', layers: 3, kvHeads: 2, headDim: 2 },
  ],
  width: 4,
  contextLength: 16,
  sourceLength: 16,
  vocabularySize: 50,
};

/** Columns of a row at each site, and of PEFT's own prefix. */
export const wide = { encoder: 32, decoder: 24, cross: 24 };
export const peftColumns = wide.encoder;

export type Lengths = Partial<Record<keyof typeof wide, number>>;

/** Tensors with rows at the sites, of values that tell where they stand. */
export function siteTensors(lengths: Lengths, base = seq2seq): Record<string, FloatTensor> {
  return Object.fromEntries(
    Object.entries(lengths).map(([site, rows], i) => {
      const columns = rowWidth(siteNamed(base, site));
      return [`${site}.prompt_embeddings`, { shape: [rows, columns], data: values(rows * columns, i) }];
    }),
  );
}

/** A config as the program writes it, with some fields replaced; undefined removes one. */
export function sitesConfig(sites: readonly string[], changes: Json = {}): Uint8Array {
  const config = {
    peft_type: 'PREFIX_TUNING',
    task_type: 'SEQ_2_SEQ_LM',
    sites,
    base_model_name_or_path: 'tiny-bart',
    ...changes,
  };
  return new TextEncoder().encode(JSON.stringify(config));
}

export function sitesFiles(lengths: Lengths, changes: Json = {}): AdapterFiles {
  return { config: sitesConfig(Object.keys(lengths), changes), model: encodeSafetensors(siteTensors(lengths)) };
}

/** A config as PEFT writes it for the fixture's model, with some fields replaced. */
export function peftConfig(changes: Json = {}): Uint8Array {
  return sitesConfig([], {
    sites: undefined,
    num_layers: 4,
    num_attention_heads: 2,
    num_transformer_submodules: 2,
    num_virtual_tokens: 3,
    token_dim: 4,
    ...changes,
  });
}

/** PEFT's own prefix of 3 virtual tokens. */
export function peftFiles(changes: Json = {}): AdapterFiles {
  return { config: peftConfig(changes), model: peftModel(3, peftColumns) };
}

/** PEFT's prompt tuning of 3 virtual tokens: rows for the encoder, and as many for the decoder. */
export function peftPromptFiles(changes: Json = {}): AdapterFiles {
  return { config: peftConfig({ peft_type: 'PROMPT_TUNING', ...changes }), model: peftModel(6, 4) };
}

export function peftModel(rows: number, columns: number): Uint8Array<ArrayBuffer> {
  return encodeSafetensors({ prompt_embeddings: { shape: [rows, columns], data: values(rows * columns) } });
}
