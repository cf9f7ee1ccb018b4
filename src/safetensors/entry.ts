import { DTYPE_BYTES, OTHER_DTYPE_BYTES } from './dtype.js';
import { SafetensorsError } from './errors.js';

/** A tensor as the header declares it. `begin` and `end` are byte offsets from the start of the data. */
export interface RawEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const ELEMENT_BYTES: ReadonlyMap<string, number> = new Map(Object.entries({ ...DTYPE_BYTES, ...OTHER_DTYPE_BYTES }));
const FIELDS = ['dtype', 'shape', 'data_offsets'];

/** Checks one entry of a header, as far as that is possible without the others. Throws `SafetensorsError`. */
export function parseEntry(name: string, value: unknown): RawEntry {
  if (name === '' || name.includes('\0')) {
    throw new SafetensorsError('bad_name', `the tensor name ${quoted(name)} is empty or holds a NUL`);
  }
  const { dtype, shape, data_offsets: offsets } = checkFields(name, value);
  const elementBytes = typeof dtype === 'string' ? ELEMENT_BYTES.get(dtype) : undefined;
  if (elementBytes === undefined) {
    const what = typeof dtype === 'string' ? quoted(dtype) : 'that is no string';
    throw new SafetensorsError('unknown_dtype', `tensor ${quoted(name)} has a dtype ${what}, which is not known`);
  }
  const bytes = shapeBytes(name, shape, elementBytes);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError('bad_offsets', `tensor ${quoted(name)}: data_offsets are not two whole numbers`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bytes) {
    throw new SafetensorsError(
      'size_mismatch',
      `tensor ${quoted(name)} has ${end - begin} bytes of data, its shape and dtype need ${bytes}`,
    );
  }
  return { name, dtype: dtype as string, shape: shape as number[], begin, end };
}

/** Quotes a name from an untrusted file for a message: escaped, at most 100 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}

function checkFields(name: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && Object.keys(value).length === FIELDS.length) {
    if (FIELDS.every((field) => Object.hasOwn(value, field))) return value as Record<string, unknown>;
  }
  throw new SafetensorsError('bad_entry', `tensor ${quoted(name)} needs exactly ${FIELDS.join(', ')}`);
}

/**
 * Bytes that a tensor of this shape takes. Checks every partial product: a dimension of 0 must not hide an overflow
 * before it.
 */
function shapeBytes(name: string, shape: unknown, elementBytes: number): number {
  if (!isCounts(shape)) {
    throw new SafetensorsError('bad_shape', `tensor ${quoted(name)}: the shape is not a list of whole numbers`);
  }
  let bytes = elementBytes;
  for (const dim of shape) {
    bytes *= dim;
    if (!Number.isSafeInteger(bytes)) {
      throw new SafetensorsError('shape_overflow', `tensor ${quoted(name)}: the product of the shape overflows`);
    }
  }
  return bytes;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
