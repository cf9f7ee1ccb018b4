import { describe, expect, it } from 'vitest';

import { allTo, reshare, rollback, sharesOf, versionFor } from '../../src/prefix/shares.js';
import type { NameState, PrefixDetails, Share } from '../../src/prefix/store.js';
import { storeUpload } from './fixtures.js';

const infos = [1, 2, 3].map((seed) => storeUpload('a', seed).info);
const [a, b, c] = infos.map(({ version }) => version) as [string, string, string];

/** The details after a change of state. */
const after = (state: NameState): PrefixDetails => ({ ...infos[0]!, versions: infos, ...state });
const start = after({});
const split = (details: PrefixDetails, ...percents: readonly number[]): PrefixDetails =>
  after(
    reshare(
      details,
      percents.map((percent, i) => ({ version: [a, b, c][i]!, percent })),
    ),
  );
const ownerOf = (shares: readonly Share[]): Map<number, string> =>
  new Map(shares.flatMap(({ version, buckets }) => buckets.map((bucket) => [bucket, version] as const)));
const counts = (details: PrefixDetails): number[] =>
  [a, b, c].map((version) => sharesOf(details).find((share) => share.version === version)?.buckets.length ?? 0);

describe('shares', () => {
  it('move as few buckets as must, from those that lose to those that gain', () => {
    const steps = [[90, 10], [80, 10, 10], [70, 20, 10], [0, 50, 50], [33, 33, 34], [100], [0, 0, 100]];
    let before = start;
    for (const percents of steps) {
      const now = split(before, ...percents);
      const wanted = [0, 1, 2].map((i) => percents[i] ?? 0);
      expect(counts(now)).toEqual(wanted);
      const [old, owners] = [ownerOf(sharesOf(before)), ownerOf(sharesOf(now))];
      expect([...owners.keys()].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, i) => i));
      const moved = [...owners].filter(([bucket, version]) => old.get(bucket) !== version);
      const gained = wanted.reduce((sum, percent, i) => sum + Math.max(0, percent - counts(before)[i]!), 0);
      expect(moved).toHaveLength(gained);
      before = now;
    }
  });

  it('give the same users back when a share is raised and lowered again', () => {
    const ten = split(start, 90, 10);
    expect(ownerOf(sharesOf(split(split(ten, 60, 40), 90, 10)))).toEqual(ownerOf(sharesOf(ten)));
  });

  it('are remembered for one change, unless nothing changed', () => {
    const ten = split(start, 90, 10);
    expect(split(ten, 90, 10).previous).toEqual(allTo(a));
    const back = after(rollback(split(ten, 0, 100)));
    expect(counts(back)).toEqual([90, 10, 0]);
    expect(counts(after(rollback(back)))).toEqual([0, 100, 0]);
    expect(() => rollback(start)).toThrow(expect.objectContaining({ code: 'no_previous_shares' }));
  });

  it('give a user its version in the parts that the shares say, apart for each tenant and prefix', () => {
    const details = split(start, 90, 10);
    const users = Array.from({ length: 5000 }, (_, i) => `u${i}`);
    const versions = (tenant: string, owner = 't', from = details): string[] =>
      users.map((user) => versionFor(from, owner, { tenant, user }).version);
    const own = versions('t');
    expect(versions('t')).toEqual(own);
    const part = own.filter((version) => version === b).length / users.length;
    expect(part).toBeGreaterThan(0.08); // 10 % of 5,000 users, within five standard deviations
    expect(part).toBeLessThan(0.121);
    expect(versions('T')).not.toEqual(own);
    expect(versions('t', 'T')).not.toEqual(own);
    expect(versions('t', 't', { ...details, name: 'b' })).not.toEqual(own);
  });
});
