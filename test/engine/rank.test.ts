import { expect, it } from 'vitest';

import { rank } from '../../src/engine/sampling/rank.js';
import { mix } from './mix.js';

it('sorts as a comparison does, equal ones as they came', () => {
  const special = [0, -0, Infinity, -Infinity, 1e-45, -1e-45, 3.4e38, -3.4e38, 1, -1, 0, -0];
  const random = Array.from({ length: 5000 }, (_, i) => (mix(7, i) % 4001) / 8 - 250);
  const logits = Float32Array.from([...special, ...random]);
  const ids = Int32Array.from(logits, (_, id) => id).filter((id) => id % 3 !== 1);
  const expected = ids.slice().sort((a, b) => {
    const [one = NaN, other = NaN] = [logits[a], logits[b]];
    return one === other ? a - b : other > one ? 1 : -1;
  });
  expect(rank(logits, ids)).toEqual(expected);
  expect(rank(logits, new Int32Array())).toEqual(new Int32Array());
});
