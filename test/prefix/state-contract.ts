import { beforeEach, describe, expect, it } from 'vitest';

import { allTo } from '../../src/prefix/shares.js';
import type { NameState, PrefixStore, Share } from '../../src/prefix/store.js';
import { base, storeUpload } from './fixtures.js';
import type { OpenStore } from './store-contract.js';

const [one, two, three] = [storeUpload('a', 1), storeUpload('a', 2), storeUpload('a', 3)] as const;
const [v1, v2] = [one.info.version, two.info.version];
const buckets = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const split: readonly Share[] = [
  { version: v1, buckets: buckets(0, 70) },
  { version: v2, buckets: buckets(70, 100) },
];
const grants = { owner: 't', tenants: ['u'] };

/** What every `PrefixStore` must do with shares, grants and offers. `makeStore` as in `describeStore`. */
export function describeState(kind: string, makeStore: () => Promise<OpenStore>): void {
  describe(`${kind} keeps shares and grants`, () => {
    let open: OpenStore;
    let store: PrefixStore;
    const state = async (): Promise<unknown> => {
      const { version, shares, previous, grants: given } = (await store.get('t', 'a'))!;
      return { version, shares, previous, grants: given };
    };
    const set = (next: NameState): Promise<unknown> => store.update('t', 'a', () => next);

    beforeEach(async () => {
      open = await makeStore();
      store = await open(base.fingerprint);
      await store.put('t', one);
    });

    it('a standby is there, and everything else is as it was', async () => {
      expect(await store.put('t', { ...two, standby: true })).toEqual({ record: two.info, created: true });
      expect(await store.get('t', 'a')).toEqual({ ...one.info, versions: [two.info, one.info] });
      expect(await store.get('t', 'a', v2)).toMatchObject({ version: v2 });
      expect((await store.list('t')).data).toEqual([one.info]);
      // The current version again as a standby changes nothing either.
      expect(await store.put('t', { ...one, standby: true })).toEqual({ record: one.info, created: false });
      expect(await state()).toEqual({ version: v1 });
    });

    it('refuses a standby as a first version', async () => {
      const upload = { ...storeUpload('b', 1), standby: true };
      await expect(store.put('t', upload)).rejects.toMatchObject({ code: 'share_invalid', param: 'share' });
      expect(await store.get('t', 'b')).toBeUndefined();
      expect(await store.put('t', storeUpload('b', 1), { maxPrefixes: 2 })).toMatchObject({ created: true });
    });

    it('gives back the state that was set, also after it is opened again, and the version that leads', async () => {
      await store.put('t', { ...two, standby: true });
      const updated = await store.update('t', 'a', ({ version, versions }) => {
        expect({ version, versions }).toEqual({ version: v1, versions: [two.info, one.info] });
        return { shares: split, previous: allTo(v1), grants };
      });
      const expected = { version: v1, shares: split, previous: allTo(v1), grants };
      expect(updated).toEqual({ ...one.info, versions: [two.info, one.info], ...expected });
      expect(await state()).toEqual(expected);
      expect(await (await open(base.fingerprint)).get('t', 'a')).toEqual(updated);
      expect(await store.get('t', 'a', v2)).toMatchObject({ version: v2, shares: split, grants });

      const turned = [
        { version: v2, buckets: buckets(40, 100) },
        { version: v1, buckets: buckets(0, 40) },
      ];
      await set({ shares: turned });
      expect(await state()).toEqual({ version: v2, shares: turned });
      expect((await store.list('t')).data).toEqual([two.info]);
      await set({ shares: allTo(v1) });
      expect(await state()).toEqual({ version: v1 });
    });

    it('changes nothing where the change throws, and knows no name that is not there', async () => {
      const refuse = (): never => {
        throw new Error('no');
      };
      await expect(store.update('t', 'a', refuse)).rejects.toThrow('no');
      expect(await state()).toEqual({ version: v1 });
      expect(await store.update('t', 'b', refuse)).toBeUndefined();
      expect(await store.update('u', 'a', refuse)).toBeUndefined();
    });

    it('loses no change of many at a time', async () => {
      const add = (tenant: string): Promise<unknown> =>
        store.update('t', 'a', ({ grants: before }) => ({
          grants: { owner: 't', tenants: [...(before?.tenants ?? []), tenant].sort() },
        }));
      const tenants = ['u', 'v', 'w', 'x', 'y', 'z'];
      await Promise.all(tenants.map(add));
      expect(await state()).toMatchObject({ grants: { tenants } });
    });

    it('an upload and a promotion take all shares, remember what was before, and keep grants', async () => {
      await store.put('t', two);
      expect(await state()).toEqual({ version: v2, previous: allTo(v1) });
      await set({ shares: split, grants });
      await store.put('t', three);
      expect(await state()).toEqual({ version: three.info.version, previous: split, grants });
      await set({ shares: split, grants });
      await store.put('t', one);
      expect(await state()).toEqual({ version: v1, previous: split, grants });
      await set({ shares: split, grants });
      await store.promote('t', 'a', v1);
      expect(await state()).toEqual({ version: v1, previous: split, grants });
      await store.promote('t', 'a', v1);
      expect(await state()).toEqual({ version: v1, previous: split, grants });
    });

    it('forgets the state with the name', async () => {
      await set({ grants });
      await store.delete('t', 'a');
      await store.put('t', one);
      expect(await state()).toEqual({ version: v1 });
    });

    it('keeps offers for each tenant and base model', async () => {
      const [offer, other] = [
        { owner: 'T', name: 'a/b' },
        { owner: 't', name: 'a/b' },
      ];
      expect(await store.offers('U')).toEqual([]);
      for (const each of [offer, other, offer]) await store.noteOffer('U', each, true);
      const offers = [...(await (await open(base.fingerprint)).offers('U'))];
      expect(offers.sort((a, b) => (a.owner < b.owner ? -1 : 1))).toEqual([offer, other]);
      expect(await store.offers('u')).toEqual([]);
      expect(await (await open('f'.repeat(64))).offers('U')).toEqual([]);
      for (const each of [other, other]) await store.noteOffer('U', each, false);
      expect(await store.offers('U')).toEqual([offer]);
    });
  });
}
