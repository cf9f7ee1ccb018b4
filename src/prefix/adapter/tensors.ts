import { isTorchFile } from '../../lib/file-kind.js';
import {
  allFinite,
  decodeFloats,
  DEFAULT_MAX_HEADER_BYTES,
  parseSafetensors,
  SafetensorsError,
  type SafetensorsHeader,
  type TensorEntry,
} from '../../safetensors/index.js';
import { shown } from './config-fields.js';
import { PrefixError } from '../errors.js';
import { type AdapterFiles, PREFIX_TENSOR } from './format.js';
import { type BaseModel, rowWidth } from '../kv.js';
import { conversion } from './pickle.js';
import { checkFiniteRows } from './values.js';

/** Room for the header and its length, beside the data. */
const HEADER_ROOM_BYTES = DEFAULT_MAX_HEADER_BYTES + 8;
const MAX_CONFIG_BYTES = 1 << 16;

/** Names of embeddings and heads of base models, which PEFT saves along with an adapter where a vocabulary was resized. */
const EMBEDDINGS = /(^|\.)(wte|embed_tokens|shared|lm_head)\./;
const WITHOUT_EMBEDDINGS =
  'the embeddings of a resized vocabulary are part of the base model. If the prefix does without the new tokens, save it with ' +
  'save_pretrained(DIR, save_embedding_layers=False); otherwise save the resized model too, and serve that';

/**
 * Checks the sizes of both files. A whole context of float32 rows at each site is the largest that could be meant; longer than allowed
 * is told apart later.
 */
export function checkSizes({ config, model }: AdapterFiles, { sites, contextLength }: BaseModel): void {
  const width = sites.reduce((sum, site) => sum + rowWidth(site), 0);
  checkSize('adapter_config', config, MAX_CONFIG_BYTES);
  const limit = HEADER_ROOM_BYTES + contextLength * width * Float32Array.BYTES_PER_ELEMENT;
  const isPickled = isTorchFile(model); // told below, whatever its size
  if (!isPickled)
    checkSize(
      'adapter_model',
      model,
      limit,
      `. A prefix has no more: if PEFT saved embeddings along, ${WITHOUT_EMBEDDINGS}`,
    );
}

function checkSize(
  param: 'adapter_config' | 'adapter_model',
  { length }: Uint8Array,
  limit: number,
  remedy = '',
): void {
  if (length <= limit) return;
  throw new PrefixError(`${param}_too_large`, `${param}: ${length} bytes; at most ${limit} are accepted${remedy}`);
}

/** Parses the header of an `adapter_model.safetensors`. Throws `adapter_model_pickle`, or a code that begins with `safetensors_`. */
export function parseHeader(model: Uint8Array): SafetensorsHeader {
  if (isTorchFile(model)) {
    throw new PrefixError(
      'adapter_model_pickle',
      'adapter_model: a PyTorch pickle (adapter_model.bin) can run code when it is read and is never accepted; ' +
        `write its tensors as safetensors, in Python: ${conversion().join('; ')}`,
    );
  }
  try {
    return parseSafetensors(model);
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new PrefixError(`safetensors_${error.code}`, `adapter_model: ${error.message}`, { cause: error });
  }
}

/** The tensors of these names, in their order. Refuses a file in which one is missing or has another dtype, or that has others too. */
export function tensorsNamed<const Names extends readonly string[]>(
  { tensors, others }: SafetensorsHeader,
  names: Names,
): { [Name in keyof Names]: TensorEntry } {
  const all = [...tensors.keys(), ...others.keys()];
  const extra = all.find((name) => !names.includes(name));
  const found =
    extra === undefined
      ? 'the file has no other'
      : `the file has ${shown(extra)}${all.length > 1 ? ' and others' : ''}`;
  const missing = names.find((name) => !tensors.has(name) && !others.has(name));
  if (missing !== undefined) {
    throw new PrefixError('tensor_missing', `adapter_model: the tensor ${missing} is missing; ${found}`);
  }
  if (extra !== undefined) {
    const accepted = names.length === 1 ? `${names[0]}, the only one accepted` : `one of ${names.join(', ')}`;
    const remedy = EMBEDDINGS.test(extra) ? `; ${WITHOUT_EMBEDDINGS}` : '';
    throw new PrefixError('tensor_unexpected', `adapter_model: the tensor ${shown(extra)} is not ${accepted}${remedy}`);
  }
  return names.map((name) => tensors.get(name) ?? refuseDtype(others.get(name))) as {
    [Name in keyof Names]: TensorEntry;
  };
}

function refuseDtype(dtype: string | undefined): never {
  throw new PrefixError(
    'tensor_dtype_unsupported',
    `adapter_model: dtype ${dtype}; F32, F16, BF16 and F64 are accepted`,
  );
}

/** Limits of a tensor of virtual tokens. */
export interface ExpectedRows {
  /** Of the tensor. */
  readonly name: string;
  readonly columns: number;
  /** Most virtual tokens. */
  readonly maxLength: number;
  readonly base: BaseModel;
  /** Rows that the tensor has for each virtual token; 1 unless given. */
  readonly rowsPerToken?: number;
}

/** Checks the shape of a tensor, and returns its virtual tokens. */
export function checkShape({ shape }: TensorEntry, expected: ExpectedRows): number {
  const { name, maxLength, base, rowsPerToken = 1 } = expected;
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === undefined || columns === undefined) {
    throw new PrefixError('tensor_not_2d', `adapter_model: ${name} has ${shape.length} dimensions, not 2`);
  }
  if (rows < 1) throw new PrefixError('prefix_empty', `adapter_model: ${name} has no rows`);
  const length = rows / rowsPerToken;
  if (!Number.isInteger(length)) {
    const needed = `${rowsPerToken} for each virtual token are needed`;
    throw new PrefixError('tensor_rows_mismatch', `adapter_model: ${name} has ${rows} rows; ${needed}`);
  }
  if (length > maxLength) {
    const where = name === PREFIX_TENSOR ? '' : ` in ${name}`;
    throw new PrefixError(
      'prefix_too_long',
      `adapter_model: ${length} virtual tokens${where}; at most ${maxLength} are accepted`,
    );
  }
  if (columns !== expected.columns) {
    throw new PrefixError(
      'tensor_width_mismatch',
      `adapter_model: ${name} has ${columns} columns; ${base.id} needs ${expected.columns} for this peft_type`,
    );
  }
  return length;
}

/** Decodes a tensor's values. Throws `tensor_not_finite` or `prefix_kv_not_finite`. */
export function decodeRows(model: Uint8Array, { dtype, begin, end }: TensorEntry, name: string): Float32Array {
  const bytes = model.subarray(begin, end);
  if (!allFinite(bytes, dtype)) {
    throw new PrefixError('tensor_not_finite', `adapter_model: ${name} holds a value that is infinite or no number`);
  }
  const rows = decodeFloats(bytes, dtype);
  checkFiniteRows(rows);
  return rows;
}
