import { expect, it } from 'vitest';

import { widenRows } from '../../src/model/compile/widen-rows.js';

const [rows, columns, wider] = [3, 5, 7];
const values = Float32Array.from({ length: rows * columns }, (_, element) => element + 1);

it.each(Array.from({ length: rows * columns }, (_, index) => index + 1))(
  'puts zeros behind every row of a matrix that comes in pieces of %i elements',
  (piece) => {
    const widened = new Float32Array(rows * wider);
    for (let first = 0; first < values.length; first += piece) {
      const part = widenRows(values.subarray(first, first + piece), first, columns, wider);
      widened.set(part.values, part.at);
    }
    const expected = Array.from({ length: rows }, (_, row) => [
      ...values.subarray(row * columns, (row + 1) * columns),
      ...Array<number>(wider - columns).fill(0),
    ]);
    expect([...widened]).toEqual(expected.flat());
  },
);

it('hands on what needs no widening', () => {
  expect(widenRows(values, 10, columns, columns)).toEqual({ values, at: 10 });
});
