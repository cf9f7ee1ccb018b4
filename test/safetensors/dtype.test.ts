import { describe, expect, it } from 'vitest';

import { allFinite, decodeFloats } from '../../src/safetensors/index.js';

/** Every bit pattern of 16 bits, little-endian. */
const all = new Uint8Array(Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits).buffer);

/** A binary floating-point value by definition: (-1)^s * 2^(e - bias) * 1.f, or 0.f below the normal numbers. */
function valueOf(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * 2 ** (1 - bias) * fraction : sign * 2 ** (exponent - bias) * (1 + fraction);
}

describe.each([
  ['F16', 5, 10],
  ['BF16', 8, 7],
] as const)('%s', (dtype, exponentBits, fractionBits) => {
  it('decodes all 65,536 values exactly', () => {
    const decoded = decodeFloats(all, dtype);
    const wrong = [...decoded].filter((value, bits) => !Object.is(value, valueOf(bits, exponentBits, fractionBits)));
    expect(decoded.length).toBe(65_536);
    expect(wrong).toEqual([]);
  });

  it('tells what is finite by the same definition', () => {
    for (let bits = 0; bits < 1 << 16; bits++) {
      const finite = Number.isFinite(valueOf(bits, exponentBits, fractionBits));
      if (allFinite(all.subarray(2 * bits, 2 * bits + 2), dtype) !== finite) expect.fail(`bits ${bits}`);
    }
  });
});

describe('decodeFloats', () => {
  it.each(['F64', 'F32', 'F16', 'BF16'] as const)('decodes %s from any alignment', (dtype) => {
    const bytes = all.subarray(0, 4096);
    for (let offset = 1; offset < 8; offset++) {
      const shifted = new Uint8Array(bytes.length + offset);
      shifted.set(bytes, offset);
      expect(decodeFloats(shifted.subarray(offset), dtype)).toEqual(decodeFloats(bytes, dtype));
      expect(allFinite(shifted.subarray(offset), dtype)).toBe(allFinite(bytes, dtype));
    }
  });

  it('keeps every bit of a float32, NaN payloads included', () => {
    const bits = Uint32Array.of(0, 0x80000000, 1, 0x7f7fffff, 0x7f800000, 0x7fc12345, 0xff812345);
    const decoded = decodeFloats(new Uint8Array(bits.buffer), 'F32');
    expect(new Uint32Array(decoded.buffer)).toEqual(bits);
    expect(allFinite(new Uint8Array(bits.buffer, 0, 16), 'F32')).toBe(true);
    for (const at of [4, 5, 6]) expect(allFinite(new Uint8Array(bits.buffer, at * 4, 4), 'F32')).toBe(false);
  });

  it('rounds a float64 to the nearest float32, and says which values float32 cannot hold', () => {
    const values = [1 / 3, 1e-300, -2, 3.4e38, 1e39, -1e39, NaN, Infinity];
    const bytes = (part: number[]): Uint8Array => new Uint8Array(Float64Array.from(part).buffer);
    expect([...decodeFloats(bytes(values), 'F64')]).toEqual(values.map(Math.fround));
    expect(values.map((value) => allFinite(bytes([value]), 'F64'))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('copies: the values outlive the bytes', () => {
    const bytes = Buffer.from(Float32Array.of(1).buffer);
    const decoded = decodeFloats(bytes, 'F32');
    bytes.fill(0xff);
    expect([...decoded]).toEqual([1]);
  });

  it('decodes into a given array and returns the part that it wrote', () => {
    const out = new Float32Array(4).fill(9);
    const written = decodeFloats(new Uint8Array(Float32Array.of(1, 2).buffer), 'F32', out.subarray(1));
    expect([...written]).toEqual([1, 2]);
    expect([...out]).toEqual([9, 1, 2, 9]);
    expect(() => decodeFloats(new Uint8Array(20), 'F32', out)).toThrow(RangeError);
  });

  it.each([
    ['F64', 12],
    ['F32', 6],
    ['F16', 3],
    ['BF16', 1],
  ] as const)('refuses part of a %s value', (dtype, length) => {
    expect(() => decodeFloats(new Uint8Array(length), dtype)).toThrow(RangeError);
    expect(() => allFinite(new Uint8Array(length), dtype)).toThrow(RangeError);
  });
});
