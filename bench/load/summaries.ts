import { encodeSafetensors } from '#src/safetensors/index.js';
import { BART_BASE } from '../inputs/random-bart.js';
import { uniform } from '../inputs/random-model.js';
import { PREFIX_LENGTH } from './workload.js';

/** Tokens of a source. */
const SOURCE_TOKENS = 512;
const { layers, width } = BART_BASE;

/** A source of BART's ids; those of one row are the same in every run. */
export function randomSource(row: number | string, length = SOURCE_TOKENS): number[] {
  const next = uniform(`source/${row}`);
  const inner = Array.from({ length: length - 2 }, () => 4 + Math.floor((next() + 1) * 25_000));
  return [0, ...inner, 2];
}

/** Both files of an adapter. */
export interface AdapterContent {
  readonly config: object;
  readonly tensors: Uint8Array<ArrayBuffer>;
}

/** Rows of a random prefix at a BART's three sites, `PREFIX_LENGTH` virtual tokens at each. */
export function threeSites(user: string): Readonly<Record<string, { shape: number[]; data: Float32Array }>> {
  return Object.fromEntries(['encoder', 'decoder', 'cross'].map((site) => [site, randomRows(`${user}/${site}`)]));
}

/** The same as an adapter. */
export function threeSitePrefix(user: string): AdapterContent {
  const sites = threeSites(user);
  const tensors = Object.entries(sites).map(([site, rows]) => [`${site}.prompt_embeddings`, rows] as const);
  return {
    config: {
      peft_type: 'PREFIX_TUNING',
      task_type: 'SEQ_2_SEQ_LM',
      sites: Object.keys(sites),
      num_virtual_tokens: PREFIX_LENGTH,
    },
    tensors: encodeSafetensors(Object.fromEntries(tensors)),
  };
}

/** A random prefix as PEFT has it for a BART: in the decoder's self-attention alone. */
export function peftSeq2SeqPrefix(user: string): AdapterContent {
  return {
    config: {
      peft_type: 'PREFIX_TUNING',
      task_type: 'SEQ_2_SEQ_LM',
      num_virtual_tokens: PREFIX_LENGTH,
      num_transformer_submodules: 2,
      num_layers: layers,
      num_attention_heads: BART_BASE.heads,
      token_dim: width,
      encoder_hidden_size: width,
      inference_mode: true,
    },
    tensors: encodeSafetensors({ prompt_embeddings: randomRows(user) }),
  };
}

function randomRows(name: string): { shape: number[]; data: Float32Array } {
  const next = uniform(name);
  const columns = 2 * layers * width;
  const data = Float32Array.from({ length: PREFIX_LENGTH * columns }, () => next() / 2);
  return { shape: [PREFIX_LENGTH, columns], data };
}
