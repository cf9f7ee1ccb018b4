import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  emptyColumns,
  MAX_COLUMN_INPUTS,
  type QuantizedColumns,
  quantizeColumns,
  toUnsigned,
} from '../../src/model/compile/quantize-columns.js';
import { matrices } from '../support/matrices.js';

const matrix = matrices(40, 6);

/** Quantises `[inputs, outputs]`. */
function quantize(source: Float32Array, inputs: number, outputs: number): QuantizedColumns {
  const columns = emptyColumns(inputs, outputs);
  quantizeColumns(source, { inputs, outputs, inputStride: outputs, outputStride: 1 }, columns);
  return columns;
}

describe('quantizeColumns', () => {
  it('keeps every value within half a step of its column, the largest exactly', () => {
    fc.assert(
      fc.property(matrix, ({ inputs, outputs, source }) => {
        const { values, scales } = quantize(source, inputs, outputs);
        for (let output = 0; output < outputs; output++) {
          const column = Array.from({ length: inputs }, (_, input) => source[input * outputs + output] as number);
          const step = Math.max(...column.map(Math.abs)) / 127;
          column.forEach((value, input) => {
            const read = (values[input * outputs + output] as number) * (scales[output] as number);
            expect(Math.abs(read - value)).toBeLessThanOrEqual(0.5 * step * (1 + 1e-5) + 1e-36);
          });
        }
      }),
    );
  });

  it('adds up the quantised weights of each column', () => {
    fc.assert(
      fc.property(matrix, ({ inputs, outputs, source }) => {
        const { values, scales, sums } = quantize(source, inputs, outputs);
        for (let output = 0; output < outputs; output++) {
          let sum = 0;
          for (let input = 0; input < inputs; input++) sum += values[input * outputs + output] as number;
          expect(sums[output]).toBe(Math.fround(sum * (scales[output] as number)));
        }
      }),
    );
  });

  it('says the same of a matrix that lies the other way round, in pieces of some outputs', () => {
    fc.assert(
      fc.property(matrix, ({ inputs, outputs, source }) => {
        const turned = Float32Array.from(
          source,
          (_, at) => source[(at % inputs) * outputs + Math.floor(at / inputs)] as number,
        );
        const columns = emptyColumns(inputs, outputs);
        for (let first = 0; first < outputs; first += 2) {
          const count = Math.min(2, outputs - first);
          const piece = turned.subarray(first * inputs, (first + count) * inputs);
          quantizeColumns(piece, { inputs, outputs: count, inputStride: 1, outputStride: inputs }, columns, first);
        }
        expect(columns).toEqual(quantize(source, inputs, outputs));
      }),
    );
  });

  it('keeps a column of zeros, and one too small for a scale, as zeros', () => {
    const { values, scales, sums } = quantize(Float32Array.of(0, 1e-45, 1, 0, -1e-45, 2), 2, 3);
    expect([...values]).toEqual([0, 0, 64, 0, 0, 127]);
    expect([...scales.subarray(0, 2), ...sums.subarray(0, 2)]).toEqual([0, 0, 0, 0]);
  });
});

it('writes the same integers without a sign', () => {
  expect([...toUnsigned(Int8Array.of(-127, -1, 0, 1, 127))]).toEqual([1, 127, 128, 129, 255]);
});

it('takes as many inputs as fit a sum of 32 bits, and no more', () => {
  expect(MAX_COLUMN_INPUTS * 255 * 127).toBeLessThan(2 ** 31);
  expect((MAX_COLUMN_INPUTS + 1) * 255 * 127).toBeGreaterThanOrEqual(2 ** 31);
});
