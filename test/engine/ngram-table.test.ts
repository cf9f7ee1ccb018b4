import { expect, test } from 'vitest';

import { MOST_CONFIDENT, NgramTable } from '../../src/engine/drafting/ngram-table.js';
import { mix } from './mix.js';

function tableOf(...texts: readonly (readonly number[])[]): NgramTable {
  const table = new NgramTable(2 ** 16);
  for (const text of texts) text.forEach((_, index) => table.add(text, index));
  return table;
}

test('a table says what followed the longest context that it knows', () => {
  const table = tableOf([1, 2, 3, 4, 5], [9, 4, 6], [8, 4, 6]);
  expect(table.find([1, 2, 3, 4])).toEqual({ id: 5, length: 4, confidence: 1 });
  expect(table.find([7, 3, 4])).toEqual({ id: 5, length: 2, confidence: 1 });
  expect(table.find([7, 4])).toMatchObject({ id: 6, length: 1 });
  expect(table.find([7])).toBeUndefined();
  expect(table.find([])).toBeUndefined();
});

test('what came most often of late wins, and confidence is bounded', () => {
  const table = tableOf(...Array.from({ length: 100 }, () => [1, 2]));
  expect(table.find([1])).toEqual({ id: 2, length: 1, confidence: MOST_CONFIDENT });
  for (let times = 0; times < MOST_CONFIDENT; times++) table.add([1, 3], 1);
  expect(table.find([1])).toEqual({ id: 3, length: 1, confidence: 1 });
});

test('token ids up to 2^26 - 1 are kept whole', () => {
  const id = 2 ** 26 - 1;
  expect(tableOf([id, id]).find([id])).toEqual({ id, length: 1, confidence: 1 });
});

test('a table keeps to its bytes, and still knows what it saw often', () => {
  const maxBytes = 2 ** 14;
  const table = new NgramTable(maxBytes);
  const often = [3, 1, 4, 1, 5, 9, 2, 6];
  for (let round = 0; round < 200; round++) {
    often.forEach((_, index) => table.add(often, index));
    const noise = Array.from({ length: 40 }, (_, at) => 10 + (mix(round, at) % 50_000));
    noise.forEach((_, index) => table.add(noise, index));
    expect(table.bytes).toBeLessThanOrEqual(maxBytes);
  }
  expect(table.bytes).toBe(maxBytes);
  const known = often.filter((id, index) => index > 3 && table.find(often, index)?.id === id);
  expect(known).toEqual([5, 9, 2, 6]);
});
