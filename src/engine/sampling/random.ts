import { randomInt } from 'node:crypto';

/**
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011; constants as in Random123):
 * a bijection of counters under a key. There is no state, so a draw depends on nothing but its name.
 */
export type Counter = readonly [number, number, number, number];

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** Four random 32-bit words for a counter under a key, all words unsigned. */
export function philox(counter: Counter, key: readonly [number, number]): Counter {
  let [a, b, c, d] = counter;
  let [left, right] = key;
  for (let round = 0; round < ROUNDS; round++) {
    [a, b, c, d] = [
      (multiplyHigh(MULTIPLIERS[1], c) ^ b ^ left) >>> 0,
      Math.imul(MULTIPLIERS[1], c) >>> 0,
      (multiplyHigh(MULTIPLIERS[0], a) ^ d ^ right) >>> 0,
      Math.imul(MULTIPLIERS[0], a) >>> 0,
    ];
    left = (left + KEY_STEPS[0]) >>> 0;
    right = (right + KEY_STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The number in [0, 1), with 53 random bits, that token `index` of choice `choice` is drawn with. */
export function uniform(seed: number, choice: number, index: number): number {
  const [high, low] = philox([index, choice >>> 0, 0, 0], [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

/** A seed for a request that brings none. */
export function randomSeed(): number {
  return randomInt(2 ** 48 - 1);
}

/** The upper 32 bits of a product of two unsigned 32-bit words, in halves because a double holds 53 bits. */
function multiplyHigh(x: number, y: number): number {
  const [xLow, xHigh, yLow, yHigh] = [x & 0xffff, x >>> 16, y & 0xffff, y >>> 16];
  const middle = xHigh * yLow + ((xLow * yLow) >>> 16);
  const carried = xLow * yHigh + (middle & 0xffff);
  return xHigh * yHigh + (middle >>> 16) + (carried >>> 16);
}
