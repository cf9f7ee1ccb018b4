import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BLOCK, type Bits, quantizedShapes, quantizeRows } from '../../src/model/compile/quantize.js';
import { matrices } from '../support/matrices.js';

/** The value that `MatMulNBits` reads for each input of each output. */
function dequantize(values: Uint8Array, scales: Float32Array, inputs: number, bits: Bits): number[][] {
  const blocks = Math.ceil(inputs / BLOCK);
  const integerAt = (i: number): number =>
    bits === 8 ? (values[i] as number) : ((values[i >> 1] as number) >> (i % 2 === 0 ? 0 : 4)) & 15;
  return Array.from({ length: scales.length / blocks }, (_, output) =>
    Array.from({ length: inputs }, (_, input) => {
      const scale = scales[output * blocks + Math.floor(input / BLOCK)] as number;
      return (integerAt(output * blocks * BLOCK + input) - 2 ** (bits - 1)) * scale;
    }),
  );
}

const matrix = matrices(70, 4);

describe.each([8, 4] as const)('quantizeRows to %i bits', (bits) => {
  it('keeps every value within a step of its block, and most within half of one', () => {
    fc.assert(
      fc.property(matrix, ({ inputs, outputs, source }) => {
        const quantized = quantizeRows(source, { inputs, outputs, inputStride: 1, outputStride: inputs }, bits);
        const read = dequantize(quantized.values, quantized.scales, inputs, bits);
        source.forEach((value, at) => {
          const [output, input] = [Math.floor(at / inputs), at % inputs];
          const from = output * inputs + input - (input % BLOCK);
          const block = source.subarray(from, Math.min(from + BLOCK, (output + 1) * inputs));
          const extreme = block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
          const step = Math.abs(extreme) / 2 ** (bits - 1);
          const opposite = value * extreme < 0 && Math.abs(value) > Math.abs(extreme) - step / 2;
          const error = Math.abs((read[output]?.[input] as number) - value);
          expect(error).toBeLessThanOrEqual((opposite ? 1 : 0.5) * step * (1 + 1e-5) + 1e-30);
        });
      }),
    );
  });

  it('gives the same for a matrix and for its transpose read the other way', () => {
    fc.assert(
      fc.property(matrix, ({ inputs, outputs, source }) => {
        const transposed = source.map((_, at) => source[(at % outputs) * inputs + Math.floor(at / outputs)] as number);
        const asRows = quantizeRows(source, { inputs, outputs, inputStride: 1, outputStride: inputs }, bits);
        const asColumns = quantizeRows(transposed, { inputs, outputs, inputStride: outputs, outputStride: 1 }, bits);
        expect(asColumns).toEqual(asRows);
      }),
    );
  });

  it('writes as much as its shapes say', () => {
    const [inputs, outputs] = [100, 3];
    const source = new Float32Array(inputs * outputs).fill(1);
    const { values, scales } = quantizeRows(source, { inputs, outputs, inputStride: 1, outputStride: inputs }, bits);
    const shapes = quantizedShapes(inputs, outputs, bits);
    expect(shapes.scales).toEqual([3, 4]);
    expect(values).toHaveLength(shapes.values.reduce((product, dim) => product * dim));
    expect(scales).toHaveLength(12);
  });

  it('keeps a block of zeros, and fills the last block up with them', () => {
    const source = new Float32Array(40);
    source[39] = 2;
    const { values, scales } = quantizeRows(source, { inputs: 40, outputs: 1, inputStride: 1, outputStride: 40 }, bits);
    const read = dequantize(values, scales, 64, bits)[0] as number[];
    expect(read.map(Math.abs)).toEqual([...new Array<number>(39).fill(0), 2, ...new Array<number>(24).fill(0)]);
  });
});

describe('quantizeRows', () => {
  // By hand: the extreme is -4, so a step is 0.5 and -4 is the lowest integer; +4 would be one beyond the highest.
  const source = Float32Array.from({ length: BLOCK }, (_, i) => [-4, 4, 0, 1.2, -0.3, 0.25][i] ?? 0);
  const layout = { inputs: BLOCK, outputs: 1, inputStride: 1, outputStride: BLOCK };

  it('packs 4 bits with the even input in the lower half', () => {
    const { values, scales } = quantizeRows(source, layout, 4);
    expect([...scales]).toEqual([0.5]);
    expect([...values.subarray(0, 4)]).toEqual([0xf0, 0xa8, 0x97, 0x88]);
  });

  it('writes 8 bits one after another', () => {
    const { values, scales } = quantizeRows(source, layout, 8);
    expect([...scales]).toEqual([0.03125]);
    expect([...values.subarray(0, 7)]).toEqual([0, 255, 128, 166, 118, 136, 128]);
  });
});
