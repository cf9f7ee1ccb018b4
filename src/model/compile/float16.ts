/** The largest magnitude that rounds to a finite binary16 is just below this. */
const TOO_LARGE = 65_520;

/**
 * Rounds float32 to the nearest IEEE 754 binary16, ties to the even one, as bits.
 * Throws RangeError for a value that has no finite binary16 near it.
 */
export function toFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) {
    if (!(Math.abs(values[i] as number) < TOO_LARGE)) throw new RangeError(`${values[i]} does not fit float16`);
    halves[i] = halfOf(bits[i] as number);
  }
  return halves;
}

/** binary32 (1 sign, 8 exponent, 23 fraction bits) to binary16 (1, 5, 10). */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  // A carry out of the fraction goes into the exponent, which is where it belongs.
  if (magnitude >= 0x3880_0000) {
    return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: multiples of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const fraction = (magnitude & 0x7f_ffff) | 0x80_0000;
  const below = fraction & ((1 << shift) - 1);
  const half = fraction >>> shift;
  const middle = 1 << (shift - 1);
  return sign | (half + (below > middle || (below === middle && half % 2 === 1) ? 1 : 0));
}
