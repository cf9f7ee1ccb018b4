import { decodeFloats, encodeSafetensors, parseSafetensors, type TensorEntry } from '../../safetensors/index.js';
import { PrefixError } from '../errors.js';
import { type AdapterFiles, PREFIX_TENSOR } from './format.js';
import { type BaseModel, type PrefixKv, rowWidth, selfKv, selfRows, selfSite } from '../kv.js';
import { checkFiniteRows } from './values.js';

/** Keys and values as the file that PEFT writes for PREFIX_TUNING. */
export function encodeKv(kv: PrefixKv): Uint8Array<ArrayBuffer> {
  const data = selfRows(kv);
  return encodeSafetensors({ [PREFIX_TENSOR]: { shape: [kv.length, data.length / kv.length], data } });
}

/** Keys and values as an adapter that PEFT loads: `PeftModel.from_pretrained(model, directory)`. */
export function kvAdapter(kv: PrefixKv, base: BaseModel): AdapterFiles {
  const { layers, kvHeads, headDim } = selfSite(base);
  const config = {
    base_model_name_or_path: base.id,
    encoder_hidden_size: base.width,
    inference_mode: true,
    modules_to_save: null,
    num_attention_heads: kvHeads,
    num_layers: layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: kv.length,
    peft_type: 'PREFIX_TUNING',
    prefix_projection: false,
    task_type: 'CAUSAL_LM',
    token_dim: kvHeads * headDim,
  };
  return { config: new TextEncoder().encode(`${JSON.stringify(config, undefined, 2)}\n`), model: encodeKv(kv) };
}

/**
 * Reads keys and values back from a store: checked when they were written, and again as far as a crash of the program
 * is at stake. Throws `prefix_damaged`.
 */
export function decodeKv(file: Uint8Array, base: BaseModel): PrefixKv {
  try {
    const tensor = parseSafetensors(file).tensors.get(PREFIX_TENSOR);
    const [length, columns] = tensor?.shape ?? [];
    if (tensor !== undefined && length !== undefined && length > 0 && columns === rowWidth(selfSite(base))) {
      const rows = floatsOf(file, tensor);
      checkFiniteRows(rows);
      return selfKv(length, rows);
    }
  } catch (error) {
    throw new PrefixError('prefix_damaged', 'name: the stored keys and values are damaged', { cause: error });
  }
  throw new PrefixError('prefix_damaged', 'name: the stored keys and values are not of this model');
}

/** Part of a file that its only tensor must make up, so that a view of it keeps little else in memory. */
const MOST = 0.9;

/** A tensor's values: the file's own bytes where they are float32 as they lie, else decoded. */
function floatsOf(file: Uint8Array, { begin, end, dtype }: TensorEntry): Float32Array {
  const start = file.byteOffset + begin;
  const isInPlace = dtype === 'F32' && start % Float32Array.BYTES_PER_ELEMENT === 0;
  if (!isInPlace || end - begin < MOST * file.buffer.byteLength) return decodeFloats(file.subarray(begin, end), dtype);
  return new Float32Array(file.buffer, start, (end - begin) / Float32Array.BYTES_PER_ELEMENT);
}
