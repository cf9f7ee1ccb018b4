import { describe, expect, it } from 'vitest';

import { toFloat16 } from '../../src/model/compile/float16.js';
import { decodeFloats } from '../../src/safetensors/index.js';

const SIGN = 0x8000;
const INFINITY = 0x7c00;
/** Bits of every finite binary16 that is not negative, in order of value. */
const halves = Uint16Array.from({ length: INFINITY }, (_, bits) => bits);
const valuesOf = (bits: Uint16Array): Float32Array => decodeFloats(new Uint8Array(bits.buffer), 'F16');

describe('toFloat16', () => {
  it('keeps every value that a half can hold, of either sign', () => {
    expect(toFloat16(valuesOf(halves))).toEqual(halves);
    const negative = halves.map((bits) => bits | SIGN);
    expect(toFloat16(valuesOf(negative))).toEqual(negative);
  });

  it('rounds to the nearest, and from the middle to the even one', () => {
    const values = valuesOf(halves);
    const lower = halves.subarray(0, -1);
    const between = (part: number): Float32Array =>
      Float32Array.from(lower, (bits) => {
        const [below, above] = [values[bits] as number, values[bits + 1] as number];
        return below + part * (above - below);
      });
    expect(toFloat16(between(0.5))).toEqual(Uint16Array.from(lower, (bits) => bits + (bits % 2)));
    expect(toFloat16(between(0.499))).toEqual(Uint16Array.from(lower));
    expect(toFloat16(between(0.501))).toEqual(Uint16Array.from(lower, (bits) => bits + 1));
  });

  it('takes what is too small for zero', () => {
    expect([...toFloat16(Float32Array.of(1e-9, -1e-9, 2 ** -25, 1e-45))]).toEqual([0, SIGN, 0, 0]);
  });

  it('rounds down to the largest half, and refuses what lies beyond it', () => {
    expect([...toFloat16(Float32Array.of(65_519, -65_519))]).toEqual([0x7bff, 0xfbff]);
    for (const value of [65_520, -65_520, 1e30, Infinity, NaN]) {
      expect(() => toFloat16(Float32Array.of(0, value))).toThrow('does not fit float16');
    }
  });
});
