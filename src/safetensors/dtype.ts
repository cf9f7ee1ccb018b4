/** Element types that can be read, and their sizes in bytes. Others are valid in a file, but not for us. */
export const DTYPE_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;

export type Dtype = keyof typeof DTYPE_BYTES;

/** Element types of the format that Preamble does not read, with their sizes: a file may hold such tensors beside. */
export const OTHER_DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/**
 * Decodes little-endian floats of any alignment. `bytes` must be a whole number of elements.
 * Every F16 and BF16 value, NaN and infinities included, has an exact float32.
 */
export function decodeFloats(bytes: Uint8Array, dtype: Dtype): Float32Array<ArrayBuffer> {
  if (bytes.length % DTYPE_BYTES[dtype] !== 0)
    throw new RangeError(`${bytes.length} bytes are no whole ${dtype} values`);
  const aligned = Uint8Array.from(bytes).buffer;
  if (dtype === 'F32') return new Float32Array(aligned);
  const words = Uint32Array.from(new Uint16Array(aligned), dtype === 'F16' ? float32BitsOfHalf : float32BitsOfBfloat);
  return new Float32Array(words.buffer);
}

function float32BitsOfBfloat(bits: number): number {
  return bits << 16;
}

/** IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits) to binary32 (1, 8, 23). */
function float32BitsOfHalf(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: shift the leading one out of the fraction.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
