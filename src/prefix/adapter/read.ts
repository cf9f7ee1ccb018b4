import {
  allFinite,
  decodeFloats,
  DEFAULT_MAX_HEADER_BYTES,
  parseSafetensors,
  SafetensorsError,
  type SafetensorsHeader,
  type TensorEntry,
} from '../../safetensors/index.js';
import { type ConfigOptions, parseAdapterConfig } from './config.js';
import { PrefixError } from '../errors.js';
import { type AdapterFiles, type AdapterKind, defaultMaxLength, type Placement, PREFIX_TENSOR } from './format.js';
import { type BaseModel, rowWidth, selfSite } from '../kv.js';
import { checkFiniteRows, magnitudeWarnings } from './values.js';

export interface AdapterOptions extends ConfigOptions {
  /** Most virtual tokens; half of the model's context unless given. */
  readonly maxLength?: number | undefined;
}

/** An adapter that may be served. */
export interface Adapter {
  readonly kind: AdapterKind;
  readonly placement: Placement;
  /** Number of virtual tokens P. */
  readonly length: number;
  /** `[P, rowWidth(site)]` for a prefix, `[P, width]` for a soft prompt; finite. */
  readonly rows: Float32Array;
  readonly warnings: readonly string[];
}

/** Room for the header and its length, beside the data. */
const HEADER_ROOM_BYTES = DEFAULT_MAX_HEADER_BYTES + 8;
const MAX_CONFIG_BYTES = 1 << 16;

/**
 * Checks untrusted files against the frozen model, in the order of the format's specification, and decodes the rows.
 * Throws `PrefixError` with a code of its own for every refusal; nothing is allocated before its size was checked.
 */
export function readAdapter(files: AdapterFiles, base: BaseModel, options: AdapterOptions = {}): Adapter {
  checkSizes(files, base);
  const header = parseHeader(files.model);
  const rowCount = header.tensors.get(PREFIX_TENSOR)?.shape[0];
  const { kind, placement, warnings } = parseAdapterConfig(files.config, base, rowCount, options);
  const tensor = onlyTensor(header);
  const length = checkShape(tensor, { kind, base, maxLength: options.maxLength ?? defaultMaxLength(base) });
  const rows = decodeRows(files.model, tensor);
  return { kind, placement, length, rows, warnings: [...warnings, ...magnitudeWarnings(rows, length)] };
}

/** A whole context of float32 rows is the largest that could be meant; longer than allowed is told apart later. */
function checkSizes({ config, model }: AdapterFiles, base: BaseModel): void {
  const limit = HEADER_ROOM_BYTES + base.contextLength * rowWidth(selfSite(base)) * Float32Array.BYTES_PER_ELEMENT;
  checkSize('adapter_config', config, MAX_CONFIG_BYTES);
  checkSize('adapter_model', model, limit);
}

function checkSize(param: 'adapter_config' | 'adapter_model', { length }: Uint8Array, limit: number): void {
  if (length <= limit) return;
  throw new PrefixError(`${param}_too_large`, `${param}: ${length} bytes; at most ${limit} are accepted`);
}

function parseHeader(model: Uint8Array): SafetensorsHeader {
  if (isPickle(model)) {
    throw new PrefixError(
      'adapter_model_pickle',
      'adapter_model: a PyTorch pickle (adapter_model.bin) can run code when it is read and is never accepted; convert it ' +
        'where it was trained: PeftModel.from_pretrained(model, DIR).save_pretrained(OUT, safe_serialization=True)',
    );
  }
  try {
    return parseSafetensors(model);
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new PrefixError(`safetensors_${error.code}`, `adapter_model: ${error.message}`, { cause: error });
  }
}

/** A zip archive, as torch.save writes since 1.6, or a bare pickle of protocol 2 to 5 where no JSON header begins. */
function isPickle(model: Uint8Array): boolean {
  const [first, second = 0, third, fourth] = model;
  if (first === 0x50 && second === 0x4b) return third === 3 && fourth === 4;
  return first === 0x80 && second >= 2 && second <= 5 && model[8] !== 0x7b;
}

function onlyTensor({ tensors, others }: SafetensorsHeader): TensorEntry {
  const otherDtype = others.get(PREFIX_TENSOR);
  const tensor = tensors.get(PREFIX_TENSOR);
  if (tensor === undefined && otherDtype === undefined) {
    throw new PrefixError('tensor_missing', `adapter_model: the tensor ${PREFIX_TENSOR} is missing`);
  }
  const extra = [...tensors.keys(), ...others.keys()].find((name) => name !== PREFIX_TENSOR);
  if (extra !== undefined) {
    const name = JSON.stringify(extra.slice(0, 100));
    throw new PrefixError(
      'tensor_unexpected',
      `adapter_model: the tensor ${name} is not ${PREFIX_TENSOR}, the only one accepted`,
    );
  }
  if (tensor === undefined) {
    throw new PrefixError(
      'tensor_dtype_unsupported',
      `adapter_model: dtype ${otherDtype}; F32, F16 and BF16 are accepted`,
    );
  }
  return tensor;
}

interface ExpectedShape {
  readonly kind: AdapterKind;
  readonly base: BaseModel;
  readonly maxLength: number;
}

/** Returns the number of rows. */
function checkShape({ shape }: TensorEntry, { kind, base, maxLength }: ExpectedShape): number {
  const [length, columns] = shape;
  if (shape.length !== 2 || length === undefined || columns === undefined) {
    throw new PrefixError('tensor_not_2d', `adapter_model: ${PREFIX_TENSOR} has ${shape.length} dimensions, not 2`);
  }
  if (length < 1) throw new PrefixError('prefix_empty', `adapter_model: ${PREFIX_TENSOR} has no rows`);
  if (length > maxLength) {
    throw new PrefixError(
      'prefix_too_long',
      `adapter_model: ${length} virtual tokens; at most ${maxLength} are accepted`,
    );
  }
  const expected = kind === 'prefix' ? rowWidth(selfSite(base)) : base.width;
  if (columns !== expected) {
    throw new PrefixError(
      'tensor_width_mismatch',
      `adapter_model: ${PREFIX_TENSOR} has ${columns} columns; ${base.id} needs ${expected} for this peft_type`,
    );
  }
  return length;
}

function decodeRows(model: Uint8Array, { dtype, begin, end }: TensorEntry): Float32Array {
  const bytes = model.subarray(begin, end);
  if (!allFinite(bytes, dtype)) {
    throw new PrefixError(
      'tensor_not_finite',
      `adapter_model: ${PREFIX_TENSOR} holds a value that is infinite or no number`,
    );
  }
  const rows = decodeFloats(bytes, dtype);
  checkFiniteRows(rows);
  return rows;
}
