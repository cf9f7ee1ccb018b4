import { beforeEach, describe, expect, it } from 'vitest';

import type { PrefixStore } from '../../src/prefix/store.js';
import { base, storeUpload } from './fixtures.js';
import type { OpenStore } from './store-contract.js';

const refused = { code: 'prefix_quota_exceeded', reason: 'quota' };
const { bytes } = storeUpload('a', 1).info;

/** How every `PrefixStore` keeps a tenant within a quota. */
export function describeQuota(kind: string, makeStore: () => Promise<OpenStore>): void {
  describe(`${kind} keeps quotas`, () => {
    let open: OpenStore;
    let store: PrefixStore;

    beforeEach(async () => {
      open = await makeStore();
      store = await open(base.fingerprint);
    });

    it('of names: another version of a name is none more', async () => {
      const quota = { maxPrefixes: 2 };
      await store.put('t', storeUpload('a', 1), quota);
      await store.put('t', storeUpload('b', 1), quota);
      await store.put('t', storeUpload('b', 2), quota);
      const third = store.put('t', storeUpload('c', 1), quota);
      await expect(third).rejects.toMatchObject({ ...refused, message: 'name: 2 of at most 2 prefixes are used' });
      expect(await store.get('t', 'c')).toBeUndefined();
      expect((await store.list('t')).data.length).toBe(2);
      expect(await store.put('u', storeUpload('c', 1), quota)).toMatchObject({ created: true });
    });

    it('of bytes, over all versions', async () => {
      const quota = { maxBytes: 3 * bytes - 1 };
      await store.put('t', storeUpload('a', 1), quota);
      await store.put('t', storeUpload('a', 2), quota);
      for (const name of ['a', 'b']) {
        await expect(store.put('t', storeUpload(name, 3), quota)).rejects.toMatchObject(refused);
      }
      expect((await store.get('t', 'a'))?.versions.length).toBe(2);
      expect(await store.put('t', storeUpload('b', 3), { maxBytes: 3 * bytes })).toMatchObject({ created: true });
    });

    it('and refuses nothing that is there, or when there is none', async () => {
      for (const seed of [1, 2]) await store.put('t', storeUpload('a', seed));
      const nothing = { maxPrefixes: 0, maxBytes: 0 };
      expect(await store.put('t', storeUpload('a', 1), nothing)).toMatchObject({ created: false });
      expect(await store.get('t', 'a')).toMatchObject({ version: storeUpload('a', 1).info.version });
      await expect(store.put('t', storeUpload('a', 3), nothing)).rejects.toMatchObject(refused);
      await store.put('t', storeUpload('a', 3), {});
    });

    it('also of what was put before it was opened', async () => {
      await store.put('t', storeUpload('a', 1));
      const again = await open(base.fingerprint);
      await expect(again.put('t', storeUpload('b', 1), { maxPrefixes: 1 })).rejects.toMatchObject(refused);
      await expect(again.put('t', storeUpload('a', 2), { maxBytes: bytes })).rejects.toMatchObject(refused);
    });

    it('and gives room back when a name is deleted', async () => {
      const quota = { maxPrefixes: 1, maxBytes: 2 * bytes };
      for (let round = 0; round < 3; round++) {
        for (const seed of [1, 2]) await store.put('t', storeUpload('a', seed), quota);
        await expect(store.put('t', storeUpload('b', 1), quota)).rejects.toMatchObject(refused);
        await expect(store.put('t', storeUpload('a', 3), quota)).rejects.toMatchObject(refused);
        await store.delete('t', 'a');
      }
    });

    it('exactly, however many upload at the same time', async () => {
      const uploads = Array.from({ length: 12 }, (_, i) => storeUpload(`n${i % 6}`, Math.floor(i / 6) + 1));
      const quota = { maxPrefixes: 4, maxBytes: 5 * bytes };
      const results = await Promise.allSettled(uploads.map((upload) => store.put('t', upload, quota)));
      expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(5);
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(refused);
      const details = await Promise.all((await store.list('t')).data.map(({ name }) => store.get('t', name)));
      expect(details.length).toBeLessThanOrEqual(4);
      expect(details.reduce((sum, found) => sum + (found?.versions.length ?? 0), 0)).toBe(5);
    });
  });
}
