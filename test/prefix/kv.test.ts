import { describe, expect, it } from 'vitest';

import { KvCache } from '../../src/prefix/kv-cache.js';
import {
  composeKv,
  kvBytes,
  numSourceEmbeddings,
  numVirtualTokens,
  type PrefixKv,
  rowWidth,
  selfKv,
  selfRows,
  selfSite,
  siteNamed,
  slotSite,
  sourceKv,
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

describe('a composition', () => {
  const ramp = (length: number, first: number): Float32Array => Float32Array.from({ length }, (_, i) => first + i);
  const a: PrefixKv = { length: 2, shift: 2, rows: new Map([['cross', ramp(2 * rowWidth(cross), 0)], ['self', ramp(192, 5)]]) }; // prettier-ignore
  const b: PrefixKv = { length: 0, shift: 0, rows: new Map([['cross', ramp(rowWidth(cross), 9)]]), sourceEmbeddings: ramp(8, 1) }; // prettier-ignore

  it('has the positions and virtual tokens of its parts, at each site', () => {
    const all = composeKv([a, b, a]);
    expect(all).toMatchObject({ length: 4, shift: 4 });
    expect([self, cross].map((site) => numVirtualTokens(all, site))).toEqual([4, 5]);
    expect([all, a].map((one) => numSourceEmbeddings(one, { width: 4 }))).toEqual([2, 0]);
    expect(all.parts?.map(({ rows }) => rows)).toEqual([a.rows, b.rows, a.rows]);
  });

  it('stands before a source as one prefix with the rows of all, in order', () => {
    const { rows, sourceEmbeddings } = sourceKv(composeKv([a, b, b]));
    const [first, second] = [a, b].map((one) => [...(one.rows.get('cross') ?? [])]);
    expect([...rows.keys()]).toEqual(['cross']);
    expect([...(rows.get('cross') ?? [])]).toEqual([...first!, ...second!, ...second!]);
    expect([...(sourceEmbeddings ?? [])]).toEqual([...ramp(8, 1), ...ramp(8, 1)]);
    expect(sourceKv(a)).toBe(a);
  });
});
