import { expect, it } from 'vitest';

import { limitOf, stepCost } from '../../bench/suites/engine/roofline.js';
import { parseConfig } from '../../src/model/gpt2/config.js';

const gpt2 = parseConfig({ model_type: 'gpt2' });

it('counts the bytes and operations of a step', () => {
  const { bytes, flop } = stepCost(gpt2, 1, 130);
  // GPT-2 has 124,439,808 parameters; a step looks up one row of each embedding, but reads the token embedding as its head.
  const read = 124_439_808 - 1024 * 768;
  expect(bytes).toBe(4 * (read + 130 * 12 * 2 * 768));
  const matrices = 12 * 12 * 768 * 768 + 50257 * 768;
  expect(flop).toBe(2 * matrices);
  expect(stepCost(gpt2, 32, 130).flop).toBe(32 * flop);
  expect(stepCost(gpt2, 32, 130).bytes - bytes).toBe(4 * 31 * 130 * 12 * 2 * 768);
});

it('is bound by whichever takes longer', () => {
  expect(limitOf({ bytes: 100, flop: 10 }, 10, 10)).toBe(10);
  expect(limitOf({ bytes: 100, flop: 1000 }, 10, 10)).toBe(100);
});
