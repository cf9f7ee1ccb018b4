import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BEST, bestIds, distribution, logSumExp, type Shape } from '../../src/engine/sampling/distribution.js';
import { withoutTokens, type LogitsRow } from '../../src/engine/sampling/logits-row.js';
import { uniform } from '../../src/engine/sampling/random.js';
import { sampleToken } from '../../src/engine/sampling/sampler.js';
import { mix } from './mix.js';

interface GoldenCase {
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly logits: number[];
  readonly kept: number[] | 'all';
  readonly probabilities: number[];
}

const golden = new URL('../../../shared/goldens/expected/sampling.json', import.meta.url);

/** Logits with a deviation of `spread`, in steps, so that equal ones occur. */
function makeLogits(length: number, seed: number, spread = 3): Float32Array {
  const normal = (id: number): number =>
    [0, 1, 2, 3].reduce((total, i) => total + mix(mix(seed, id), i) / 2 ** 32 - 0.5, 0) * Math.sqrt(3);
  return Float32Array.from({ length }, (_, id) => Math.round(normal(id) * spread * 16) / 16);
}

/** A row as a step gives it with `topK` best; the whole row may be read only when `mayReadAll`. */
function makeRow(logits: Float32Array, temperature: number, topK: number, mayReadAll = true): LogitsRow {
  const ids = bestIds(logits, topK);
  return {
    vocabularySize: logits.length,
    bestIds: ids,
    bestLogits: Float32Array.from(ids, (id) => logits[id] ?? NaN),
    lse: Math.fround(logSumExp(logits, 1)),
    temperedLse: Math.fround(logSumExp(logits, temperature)),
    logit: (id) => logits[id] ?? NaN,
    all: () => {
      if (!mayReadAll) throw new Error('the whole row was read');
      return logits;
    },
  };
}

/** The token that a distribution in the documented order gives, or undefined where `u` is too near to a border to tell. */
function drawFrom(ids: ArrayLike<number>, probabilities: Float64Array, u: number): number | undefined {
  let cumulative = 0;
  for (const [i, probability] of probabilities.entries()) {
    cumulative += probability;
    if (Math.abs(u - cumulative) < 1e-5) return undefined;
    if (u < cumulative) return ids[i];
  }
  return undefined;
}

describe('distribution', () => {
  test.skipIf(!existsSync(golden))('has the probabilities that Transformers computes (skipped without goldens)', () => {
    for (const { temperature, top_k, top_p, ...expected } of JSON.parse(readFileSync(golden, 'utf8')) as GoldenCase[]) {
      const { ids, probabilities } = distribution(Float32Array.from(expected.logits), {
        temperature,
        topK: top_k,
        topP: top_p,
      });
      const kept = expected.kept === 'all' ? [...expected.logits.keys()] : expected.kept;
      expect([...ids].sort((a, b) => a - b)).toEqual(kept);
      const byId = new Map([...ids].map((id, i) => [id, probabilities[i]]));
      kept.forEach((id, i) => expect(byId.get(id)).toBeCloseTo(expected.probabilities[i] ?? NaN, 5));
    }
  });

  const halves = Float32Array.from([1, 4, 2].map((part) => Math.log(part / 7)));

  test.each([
    ['everything', 0, 1, [1, 2, 0]],
    ['the two best', 2, 1, [1, 2]],
    ['more than there are', 9, 1, [1, 2, 0]],
    ['the smallest set that reaches top-p', 0, 0.7, [1, 2]],
    ['the best one when it reaches top-p', 0, 0.5, [1]],
    ['the best one at top-p 0', 0, 0, [1]],
    ['top-p of what top-k left', 2, 0.66, [1]],
  ])('keeps %s', (_, topK, topP, expected) => {
    expect([...distribution(halves, { temperature: 1, topK, topP }).ids]).toEqual(expected);
  });

  test.each([
    ['all that have a quarter of the best one', 0.25, 0, 1, [1, 2, 0]],
    ['no others', 0.26, 0, 1, [1, 2]],
    ['the best one at min-p 1', 1, 0, 1, [1]],
    ['everything at min-p 0', 0, 0, 1, [1, 2, 0]],
    ['min-p, then top-k', 0.26, 1, 1, [1]],
    ['top-p of what min-p left', 0.26, 0, 0.66, [1]],
    ['by the best one, not by what top-k left', 0.25, 3, 1, [1, 2, 0]],
  ])('min-p keeps %s', (_, minP, topK, topP, expected) => {
    const quarters = Float32Array.from([Math.log(1.0001), Math.log(4), Math.log(2)]);
    const { ids, probabilities } = distribution(quarters, { temperature: 1, minP, topK, topP });
    expect([...ids]).toEqual(expected);
    const parts = expected.map((id) => [1, 4, 2][id] ?? NaN);
    const total = parts.reduce((a, b) => a + b, 0);
    parts.forEach((part, i) => expect(probabilities[i]).toBeCloseTo(part / total, 4));
  });

  test('min-p is taken after the temperature', () => {
    const logits = Float32Array.from([0, 1]);
    expect(distribution(logits, { temperature: 1, minP: 0.5, topK: 0, topP: 1 }).ids).toHaveLength(1);
    expect(distribution(logits, { temperature: 2, minP: 0.5, topK: 0, topP: 1 }).ids).toHaveLength(2);
  });

  test('min-p of many is what a filter over all probabilities leaves', () => {
    const logits = makeLogits(1000, 8, 0.5);
    const weights = [...logits].map((logit) => Math.exp(logit / 0.8));
    const largest = Math.max(...weights);
    const kept = [...weights.keys()].filter((id) => (weights[id] ?? 0) >= 0.02 * largest);
    const { ids } = distribution(logits, { temperature: 0.8, minP: 0.02, topK: 0, topP: 1 });
    expect(kept.length).toBeGreaterThan(BEST);
    expect([...ids].sort((a, b) => a - b)).toEqual(kept);
  });

  test('ties go to the lower id', () => {
    const equal = new Float32Array(100).fill(1);
    expect([...distribution(equal, { temperature: 1, topK: 3, topP: 1 }).ids]).toEqual([0, 1, 2]);
    expect([...distribution(equal, { temperature: 1, topK: 0, topP: 0.045 }).ids]).toEqual([0, 1, 2, 3, 4]);
    expect([...bestIds(equal, 70)]).toEqual([...Array(70).keys()]);
  });
});

describe('sampleToken', () => {
  const greedy = { temperature: 0, topK: 0, topP: 1 };

  test('at temperature 0 takes the best token without reading the row', () => {
    const logits = Float32Array.from([1, 3, 3, 2]);
    expect(sampleToken(makeRow(logits, 1, 1, false), greedy, 0.99)).toBe(1);
  });

  test('draws the token of the whole row, whether the best tokens decide it or not', () => {
    const shapes = fc.record({
      size: fc.constantFrom(5, BEST, BEST + 1, 300, 1000),
      seed: fc.nat(),
      spread: fc.constantFrom(0.5, 2, 5),
      temperature: fc.constantFrom(0.3, 1, 2),
      topK: fc.constantFrom(0, 1, 40, BEST, BEST + 1, 200, 5000),
      topP: fc.constantFrom(0, 0.3, 0.9, 0.999, 1),
      minP: fc.constantFrom(0, 0, 0.001, 0.05, 0.5, 1),
    });
    const run = fc.property(shapes, ({ size, seed, spread, ...shape }) => {
      const logits = makeLogits(size, seed, spread);
      const { ids, probabilities } = inWalkOrder(logits, shape);
      // What other rows ask for changes nothing.
      const rows = [BEST, BEST + 30].map((topK) => makeRow(logits, shape.temperature, Math.min(topK, size)));
      for (let i = 0; i < 10; i++) {
        const u = uniform(seed, 0, i);
        const expected = drawFrom(ids, probabilities, u);
        const drawn = rows.map((row) => sampleToken(row, shape, u));
        if (expected !== undefined) expect(drawn).toEqual([expected, expected]);
      }
    });
    fc.assert(run, { numRuns: 150 });
  });

  test('reads only the best tokens when they decide', () => {
    const logits = makeLogits(1000, 1, 6);
    const row = makeRow(logits, 1, BEST, false);
    for (const shape of [
      { topK: 40, topP: 1 },
      { topK: 0, topP: 0.5 },
      { topK: BEST, topP: 0.9 },
      { topK: 0, topP: 1, minP: 0.1 },
      { topK: 200, topP: 0.9, minP: 0.1 },
    ]) {
      for (const u of [0, 0.5, 0.999]) expect(() => sampleToken(row, { temperature: 1, ...shape }, u)).not.toThrow();
    }
    expect(sampleToken(row, { temperature: 1, topK: 0, topP: 1 }, 0)).toBe(row.bestIds[0]);
  });

  test('draws in proportion', () => {
    const logits = makeLogits(200, 3, 1);
    const shape = { temperature: 1, topK: 0, topP: 1 };
    const { ids, probabilities } = distribution(logits, shape);
    const row = makeRow(logits, 1, BEST);
    const counts = new Array<number>(200).fill(0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) counts[sampleToken(row, shape, uniform(5, 0, i))]! += 1;
    const chiSquared = [...ids].reduce((total, id, i) => {
      const expected = draws * (probabilities[i] ?? NaN);
      return total + ((counts[id] ?? NaN) - expected) ** 2 / expected;
    }, 0);
    expect(chiSquared).toBeLessThan(300); // 199 degrees of freedom: mean 199, deviation 20
  });

  test('takes a token that has a chance even where rounding leaves the sum short', () => {
    const logits = Float32Array.from([0, 0, -Infinity]);
    const short = { ...makeRow(logits, 1, 3), temperedLse: 1 };
    expect(sampleToken(short, { temperature: 1, topK: 0, topP: 1 }, 1 - 2 ** -53)).toBe(1);
  });

  test('takes the best token where rounding leaves none with a chance', () => {
    const logits = Float32Array.from(makeLogits(100, 2), (logit) => logit - 30);
    const truncations = [
      { topK: 0, topP: 1 },
      { topK: 0, topP: 1e-8 },
      { topK: 70, topP: 1 },
      { topK: 3, topP: 0.5 },
    ];
    for (const temperature of [1e-9, 1e-10, 1e-30]) {
      const row = makeRow(logits, temperature, BEST);
      for (const shape of truncations) expect(sampleToken(row, { temperature, ...shape }, 0.5)).toBe(row.bestIds[0]);
    }
  });

  test('a row that is not a number still gives a token', () => {
    const row = makeRow(new Float32Array(100).fill(NaN), 1, BEST);
    for (const shape of [greedy, { temperature: 1, topK: 0, topP: 1 }, { temperature: 1, topK: 80, topP: 0.5 }]) {
      const id = sampleToken(row, shape, 0.5);
      expect(Number.isInteger(id) && id >= 0 && id < 100).toBe(true);
    }
  });
});

describe('withoutTokens', () => {
  test('never draws what is banned, and draws the others in proportion', () => {
    const logits = makeLogits(300, 4, 2);
    const banned = new Set([...bestIds(logits, 10), 5000]);
    const row = withoutTokens(makeRow(logits, 0.8, BEST), banned, 0.8);
    const shape = { temperature: 0.8, topK: 0, topP: 1 };
    const masked = logits.map((logit, id) => (banned.has(id) ? -Infinity : logit));
    const { ids, probabilities } = inWalkOrder(masked, shape);
    for (let i = 0; i < 500; i++) {
      const u = uniform(6, 0, i);
      const id = sampleToken(row, shape, u);
      expect(banned.has(id)).toBe(false);
      expect([id, undefined]).toContain(drawFrom(ids, probabilities, u));
    }
    expect(sampleToken(row, { ...shape, temperature: 0 }, 0)).toBe(bestIds(logits, 11)[10]);
  });
});

/** The distribution in the order that `sampleToken` documents. */
function inWalkOrder(logits: Float32Array, shape: Shape) {
  const { ids, probabilities } = distribution(logits, shape);
  if (shape.topK > 0 || shape.topP < 1 || shape.minP) return { ids, probabilities };
  const order = [...ids.keys()].sort((a, b) => (a < BEST || b < BEST ? a - b : (ids[a] ?? 0) - (ids[b] ?? 0)));
  return { ids: order.map((i) => ids[i] ?? -1), probabilities: Float64Array.from(order, (i) => probabilities[i] ?? 0) };
}
