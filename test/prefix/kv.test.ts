import { describe, expect, it } from 'vitest';

import { KvCache } from '../../src/prefix/kv-cache.js';
import {
  kvBytes,
  type PrefixKv,
  rowWidth,
  selfKv,
  selfRows,
  selfSite,
  siteNamed,
  slotSite,
} from '../../src/prefix/kv.js';

const self = { name: 'self', layers: 3, kvHeads: 2, headDim: 8 };
const cross = { name: 'cross', layers: 5, kvHeads: 4, headDim: 8 };
/** Rows at two sites, 2 and 7 of them. */
const kv: PrefixKv = {
  length: 2,
  shift: 2,
  rows: new Map([
    ['self', new Float32Array(2 * rowWidth(self))],
    ['cross', new Float32Array(7 * rowWidth(cross))],
  ]),
};

describe('sites', () => {
  it('have rows of a key and a value in each layer, of the heads that keys and values have', () => {
    expect([rowWidth(self), rowWidth(cross)]).toEqual([96, 320]);
  });

  it('are named, and a slot holds those of the decoder', () => {
    const decoder = { ...cross, name: 'decoder' };
    expect(slotSite({ sites: [cross, decoder] })).toBe(decoder);
    expect(slotSite({ sites: [self] })).toBe(self);
    expect(() => siteNamed({ sites: [self] }, 'cross')).toThrow('no site cross');
  });

  it('of a decoder-only model are one, and another model is refused', () => {
    expect(selfSite({ sites: [self] })).toBe(self);
    for (const sites of [[], [cross], [self, cross]]) {
      expect(() => selfSite({ sites })).toThrow('a decoder-only model is needed');
    }
  });
});

describe('a prefix', () => {
  it('counts the bytes of its rows at all sites, whatever their numbers, in memory too', async () => {
    const bytes = 4 * (2 * 96 + 7 * 320);
    expect(kvBytes(kv)).toBe(bytes);
    expect(kvBytes({ ...kv, sourceEmbeddings: new Float32Array(16) })).toBe(bytes + 64);
    const cache = new KvCache(bytes, 1);
    await cache.getOrLoad('a', async () => kv);
    expect(cache.bytes).toBe(bytes);
    await cache.getOrLoad('b', async () => selfKv(2, new Float32Array(192)));
    expect([cache.has('a'), cache.bytes]).toEqual([false, 4 * 192]);
  });

  it('of a decoder-only model has the rows that it was made of, not a copy', () => {
    const rows = new Float32Array(192);
    expect(selfRows(selfKv(2, rows))).toBe(rows);
    expect(() => selfRows({ length: 0, shift: 0, rows: new Map() })).toThrow('no rows at the site self');
  });
});
