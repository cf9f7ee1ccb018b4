import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { PackedKeys } from '../../src/prefix/on-disk/packed-keys.js';

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `name-${i}`).sort();

describe('PackedKeys', () => {
  it.each([0, 1, 512, 513, 3000])('finds pages of %i keys, from any cursor', (count) => {
    const keys = names(count);
    const packed = new PackedKeys(keys);
    expect(packed.length).toBe(count);
    for (const cursor of ['', 'name-1', 'name-1000', 'name-1000x', 'zzz']) {
      for (const page of [1, 100, 2000]) {
        expect(packed.after(cursor, page)).toEqual(keys.filter((key) => key > cursor).slice(0, page));
      }
    }
  });

  it('is a sorted set under any changes', () => {
    const change = fc.tuple(fc.integer({ min: 0, max: 2500 }), fc.boolean());
    const run = fc.property(
      fc.integer({ min: 0, max: 1100 }),
      fc.array(change, { maxLength: 400 }),
      (count, changes) => {
        const packed = new PackedKeys(names(count));
        const expected = new Set(names(count));
        for (const [number, isThere] of changes) {
          packed.set(`name-${number}`, isThere);
          if (isThere) expected.add(`name-${number}`);
          else expected.delete(`name-${number}`);
        }
        expect(packed.after('', Infinity)).toEqual([...expected].sort());
        expect(packed.length).toBe(expected.size);
      },
    );
    fc.assert(run, { numRuns: 50 });
  });

  it('grows from nothing, and shrinks to it', () => {
    const packed = new PackedKeys([]);
    for (const key of names(2000)) packed.set(key, true);
    expect(packed.after('', Infinity)).toEqual(names(2000));
    for (const key of names(2000)) packed.set(key, false);
    expect(packed.after('', Infinity)).toEqual([]);
    expect(packed.length).toBe(0);
  });
});
