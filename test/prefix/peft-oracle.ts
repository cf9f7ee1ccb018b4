import type { BaseModel } from '../../src/prefix/kv.js';

type Json = Record<string, unknown>;

/** Columns of `prompt_embeddings`: keys and values of every layer, or an embedding. */
const kinds: Readonly<Record<string, (base: BaseModel) => number>> = {
  PREFIX_TUNING: ({ sites: [site], width }) => (site?.layers ?? NaN) * 2 * width,
  CARTRIDGE: ({ sites: [site], width }) => (site?.layers ?? NaN) * 2 * width,
  PROMPT_TUNING: ({ width }) => width,
  P_TUNING: ({ width }) => width,
  CPT: ({ width }) => width,
};
const sizes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };
/** Bits of a value's exponent, after which all ones mean infinity or no number. */
const exponents: Readonly<Record<string, number>> = { F32: 0x7f80, F16: 0x7c00, BF16: 0x7f80 };

/**
 * Whether PEFT loads the two files into the model and gets finite numbers: the format's specification (docs of the safetensors
 * format, PEFT's `load_adapter`) once more, in the plainest way, and nothing of the code under test.
 */
export function peftLoads(config: Uint8Array, file: Uint8Array, base: BaseModel): boolean {
  try {
    const settings = readJson(config);
    const columns = kinds[String(settings['peft_type'])]?.(base);
    const { dtype, shape, data } = readOnlyTensor(file);
    const [rows, width] = shape;
    if (shape.length !== 2 || rows === undefined || rows < 1 || width !== columns) return false;
    return fits(settings, { rows, base }) && isFinite(data, dtype);
  } catch {
    return false;
  }
}

function readJson(bytes: Uint8Array): Json {
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
  return value as Json;
}

/** Eight bytes of length, JSON of that length, and data that is all one tensor's. */
function readOnlyTensor(file: Uint8Array): { dtype: string; shape: number[]; data: Uint8Array } {
  const length = Number(new DataView(file.buffer, file.byteOffset, file.length).getBigUint64(0, true));
  const { __metadata__: _, ...tensors } = readJson(file.subarray(8, 8 + length));
  const [[name, tensor] = [], ...more] = Object.entries(tensors);
  const {
    dtype,
    shape,
    data_offsets: [begin, end] = [],
  } = tensor as {
    dtype: string;
    shape: number[];
    data_offsets?: number[];
  };
  const data = file.subarray(8 + length);
  const bytes = shape.reduce((product, dimension) => product * dimension, sizes[dtype] ?? NaN);
  const isWhole = begin === 0 && end === data.length && bytes === data.length;
  if (name !== 'prompt_embeddings' || more.length > 0 || !isWhole || !shape.every(Number.isSafeInteger)) {
    throw new Error('not loaded');
  }
  return { dtype, shape, data };
}

/** Null or missing means that PEFT does not know; else it is the model's. */
function fits(settings: Json, { rows, base }: { rows: number; base: BaseModel }): boolean {
  const expected = {
    task_type: 'CAUSAL_LM',
    num_transformer_submodules: 1,
    num_layers: base.sites[0]?.layers,
    num_attention_heads: base.sites[0]?.kvHeads,
    token_dim: base.width,
    num_virtual_tokens: rows,
  };
  return (
    rows <= base.contextLength / 2 &&
    isEmpty(settings['modules_to_save']) &&
    Object.entries(expected).every(([name, value]) => (settings[name] ?? null) === null || settings[name] === value)
  );
}

/** PEFT asks only whether there is a module in the list. */
function isEmpty(modules: unknown): boolean {
  return (modules ?? null) === null || (Array.isArray(modules) && modules.length === 0);
}

/** Looks at the upper 16 bits of each value: they have the whole exponent. */
function isFinite(data: Uint8Array, dtype: string): boolean {
  const size = sizes[dtype] ?? 0;
  const mask = exponents[dtype] ?? 0;
  for (let at = size - 2; at < data.length; at += size) {
    if (((((data[at + 1] ?? 0) << 8) | (data[at] ?? 0)) & mask) === mask) return false;
  }
  return true;
}
