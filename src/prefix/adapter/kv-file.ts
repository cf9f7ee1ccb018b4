import { decodeFloats, encodeSafetensors, parseSafetensors, type TensorEntry } from '../../safetensors/index.js';
import { PrefixError } from '../errors.js';
import { type AdapterFiles, PREFIX_TENSOR } from './format.js';
import {
  type BaseModel,
  hasEncoder,
  type ModelShape,
  type PrefixKv,
  rowWidth,
  selfKv,
  selfRows,
  selfSite,
} from '../kv.js';
import { siteLengths, sitesKvOf, sitesTensors } from './sites-tensors.js';
import { checkFiniteKv } from './values.js';

/** Keys and values of a decoder-only model as the file that PEFT writes for PREFIX_TUNING. */
export function encodeKv(kv: PrefixKv): Uint8Array<ArrayBuffer> {
  const data = selfRows(kv);
  return encodeSafetensors({ [PREFIX_TENSOR]: { shape: [kv.length, data.length / kv.length], data } });
}

/** What a prefix serves, as a file for stores, which `decodeKv` reads. */
export function encodeStoredKv(kv: PrefixKv, base: BaseModel): Uint8Array<ArrayBuffer> {
  return hasEncoder(base) ? encodeSafetensors(sitesTensors(kv, base)) : encodeKv(kv);
}

/**
 * Keys and values of a decoder-only model as an adapter that PEFT loads: `PeftModel.from_pretrained(model, directory)`. Its fields are those
 * that every PEFT since prefix tuning came to it knows: one that does not know a field refuses the file.
 */
export function kvAdapter(kv: PrefixKv, base: BaseModel): AdapterFiles {
  const { layers, kvHeads, headDim } = selfSite(base);
  const config = {
    base_model_name_or_path: base.id,
    encoder_hidden_size: base.width,
    inference_mode: true,
    num_attention_heads: kvHeads,
    num_layers: layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: kv.length,
    peft_type: 'PREFIX_TUNING',
    prefix_projection: false,
    task_type: 'CAUSAL_LM',
    token_dim: kvHeads * headDim,
  };
  return adapterOf(config, encodeKv(kv));
}

/** An encoder-decoder that an adapter is written for. */
export interface SitesBase extends Pick<ModelShape, 'sites' | 'width'> {
  /** As in `BaseModel`; null if it is not known. */
  readonly id: string | null;
}

/**
 * Keys and values of an encoder-decoder as an adapter of those sites where they have rows, whose numbers may differ. There is no program
 * beside this one that loads it. Throws RangeError for what such an adapter cannot hold: embeddings before a source, or counted positions.
 */
export function sitesAdapter(kv: PrefixKv, base: SitesBase): AdapterFiles {
  if (kv.sourceEmbeddings !== undefined || kv.shift !== 0 || kv.rows.size === 0) {
    throw new RangeError('an adapter of sites holds keys and values only, which are not counted as positions');
  }
  const lengths = new Set(Object.values(siteLengths(kv, base)));
  const [length] = lengths;
  const config = {
    base_model_name_or_path: base.id,
    num_virtual_tokens: lengths.size === 1 ? length : null,
    peft_type: 'PREFIX_TUNING',
    sites: [...kv.rows.keys()],
    task_type: 'SEQ_2_SEQ_LM',
    token_dim: base.width,
  };
  return adapterOf(config, encodeSafetensors(sitesTensors(kv, base)));
}

function adapterOf(config: object, model: Uint8Array): AdapterFiles {
  return { config: new TextEncoder().encode(`${JSON.stringify(config, undefined, 2)}\n`), model };
}

/**
 * Reads keys and values back from a store: checked when they were written, and again as far as a crash of the program
 * is at stake. Throws `prefix_damaged`.
 */
export function decodeKv(file: Uint8Array, base: BaseModel): PrefixKv {
  const kv = decode(file, base);
  if (kv === undefined)
    throw new PrefixError('prefix_damaged', 'name: the stored keys and values are not of this model');
  return kv;
}

function decode(file: Uint8Array, base: BaseModel): PrefixKv | undefined {
  try {
    const { tensors } = parseSafetensors(file);
    const decodeTensor = (tensor: TensorEntry): Float32Array => floatsOf(file, tensor, tensors.values());
    const kv = hasEncoder(base) ? sitesKvOf(tensors, base, decodeTensor) : selfKvOf(tensors, base, decodeTensor);
    if (kv !== undefined) checkFiniteKv(kv);
    return kv;
  } catch (error) {
    throw new PrefixError('prefix_damaged', 'name: the stored keys and values are damaged', { cause: error });
  }
}

/** Undefined for tensors that are not of this model. */
function selfKvOf(
  tensors: ReadonlyMap<string, TensorEntry>,
  base: BaseModel,
  decodeTensor: (tensor: TensorEntry) => Float32Array,
): PrefixKv | undefined {
  const tensor = tensors.get(PREFIX_TENSOR);
  const [length = 0, columns] = tensor?.shape ?? [];
  const isOfModel = tensor !== undefined && length > 0 && columns === rowWidth(selfSite(base));
  return isOfModel ? selfKv(length, decodeTensor(tensor)) : undefined;
}

/** Part of a file that its tensors must make up, so that views of it keep little else in memory. */
const MOST = 0.9;

/** A tensor's values: the file's own bytes where they are float32 as they lie, else decoded. */
function floatsOf(file: Uint8Array, { begin, end, dtype }: TensorEntry, all: Iterable<TensorEntry>): Float32Array {
  const start = file.byteOffset + begin;
  const isInPlace = dtype === 'F32' && start % Float32Array.BYTES_PER_ELEMENT === 0;
  const bytes = [...all].reduce((sum, tensor) => sum + tensor.end - tensor.begin, 0);
  if (!isInPlace || bytes < MOST * file.buffer.byteLength) return decodeFloats(file.subarray(begin, end), dtype);
  return new Float32Array(file.buffer, start, (end - begin) / Float32Array.BYTES_PER_ELEMENT);
}
