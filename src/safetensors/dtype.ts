/** Element types that can be decoded, and their sizes in bytes. */
export const DTYPE_BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2 } as const;

/** An element type that can be decoded. */
export type Dtype = keyof typeof DTYPE_BYTES;

/**
 * Other element types of the format, and their sizes in bytes. A file may contain tensors of these types; they are checked but
 * not decoded.
 */
export const OTHER_DTYPE_BYTES = {
  C64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  BOOL: 1,
} as const;

/** Bit mask of the exponent of the types that float32 holds exactly. All bits set: infinity or NaN. */
const EXPONENT_BITS = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/**
 * Decodes little-endian floats of any alignment to float32. F16 and BF16 values, NaN and infinities included, are
 * converted exactly, F64 values to the nearest; those too large for float32 become infinite.
 * @param out where to write, with room for all values; a new array unless given
 * @returns the part of `out` that was written
 * @throws RangeError when `bytes` is not a whole number of elements, or `out` is too small
 */
export function decodeFloats(
  bytes: Uint8Array,
  dtype: Dtype,
  out?: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  const count = elementCount(bytes, dtype);
  const values = out === undefined ? new Float32Array(count) : out.subarray(0, count);
  if (values.length < count) throw new RangeError(`${count} values do not fit in ${values.length}`);
  if (dtype === 'F32') {
    new Uint8Array(values.buffer, values.byteOffset, bytes.length).set(bytes);
    return values;
  }
  if (dtype === 'F64') {
    values.set(doubles(bytes));
    return values;
  }
  // Written as bits: a NaN that passes through a JavaScript number may lose its payload.
  const bits = new Uint32Array(values.buffer, values.byteOffset, count);
  if (dtype === 'F16') widenHalves(words16(bytes), bits);
  else widenBfloats(words16(bytes), bits);
  return values;
}

/** Whether no element is infinite or NaN as float32. Throws RangeError when `bytes` is not a whole number of elements. */
export function allFinite(bytes: Uint8Array, dtype: Dtype): boolean {
  elementCount(bytes, dtype);
  if (dtype === 'F64') return doubles(bytes).every((value) => Number.isFinite(Math.fround(value)));
  const exponent = EXPONENT_BITS[dtype];
  const words = dtype === 'F32' ? words32(bytes) : words16(bytes);
  for (let i = 0; i < words.length; i++) if (((words[i] as number) & exponent) === exponent) return false;
  return true;
}

function elementCount(bytes: Uint8Array, dtype: Dtype): number {
  const count = bytes.length / DTYPE_BYTES[dtype];
  if (!Number.isInteger(count)) throw new RangeError(`${bytes.length} bytes are no whole ${dtype} values`);
  return count;
}

/**
 * The bytes as 16-bit words, copied if they are not aligned: a tensor may start at any byte of a file, a typed array
 * may not.
 */
function words16(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}

function doubles(bytes: Uint8Array): Float64Array {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.length / 8);
}

function words32(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

function widenBfloats(bfloats: Uint16Array, bits: Uint32Array): void {
  for (let i = 0; i < bfloats.length; i++) bits[i] = (bfloats[i] as number) << 16;
}

/** Table from each binary16 value to its binary32 bits: 256 KiB, built when the first F16 tensor is decoded. */
let halfTable: Uint32Array | undefined;

function widenHalves(halves: Uint16Array, bits: Uint32Array): void {
  const table = (halfTable ??= Uint32Array.from({ length: 1 << 16 }, (_, half) => float32BitsOfHalf(half)));
  for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i] as number] as number;
}

/** Converts IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits) to the bits of binary32 (1, 8, 23). */
function float32BitsOfHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: shift the leading one out of the fraction.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
