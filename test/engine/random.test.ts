import { describe, expect, test } from 'vitest';

import { philox, randomSeed, uniform } from '../../src/engine/sampling/random.js';

describe('philox4x32-10', () => {
  // Known answers of Random123 (kat_vectors).
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('counter %j under key %j', (counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected);
  });
});

describe('uniform', () => {
  test('is in [0, 1) and even', () => {
    const draws = Array.from({ length: 20_000 }, (_, i) => uniform(1, 0, i));
    expect(draws.every((u) => u >= 0 && u < 1)).toBe(true);
    const counts = new Array<number>(20).fill(0);
    for (const u of draws) counts[Math.floor(u * 20)]! += 1;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150); // 5 standard deviations
  });

  test('depends on seed, choice and index, each on its own', () => {
    const names = [0, 1, 2, 2 ** 32, 2 ** 40 + 1, -1].flatMap((seed) =>
      [0, 1, 2].flatMap((c) => [0, 1, 2].map((i) => [seed, c, i])),
    );
    const draws = names.map(([seed = 0, choice = 0, index = 0]) => uniform(seed, choice, index));
    expect(new Set(draws).size).toBe(names.length);
    expect(uniform(7, 3, 5)).toBe(uniform(7, 3, 5));
  });

  test('a request without a seed gets one of its own', () => {
    expect(randomSeed()).not.toBe(randomSeed());
  });
});
