import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import type { PrefixInfo, PrefixStore } from '../../src/prefix/store.js';
import { base, FakeEncoder, softPromptFiles } from './fixtures.js';

/** A store in an empty place, and ways to damage what is in it. */
export interface Damageable {
  /** Opens the store as a process of its own would. */
  readonly open: () => Promise<PrefixStore>;
  /** Damages the prefix `a` of the tenant `t`. */
  readonly damage: (version: PrefixInfo) => Promise<unknown>;
}

const files = softPromptFiles();
const quota = { maxPrefixes: 1, maxBytes: 1000 };

/** As servers use a store, each time long after the time before. */
function uncached(store: PrefixStore): PrefixStore {
  let now = 0;
  return new CachedPrefixStore(store, { now: () => (now += 1000) });
}

/** What every `PrefixStore` must do once something in it is damaged, for each way that `cases` has. */
export function describeRepair(kind: string, cases: Readonly<Record<string, () => Promise<Damageable>>>): void {
  const libraryOn = (store: PrefixStore): PrefixLibrary =>
    new PrefixLibrary({ store: uncached(store), base, encoder: new FakeEncoder(), cacheBytes: 0, now: () => 1e12 });

  describe.each(Object.entries(cases))(`${kind}, with %s`, (_, make) => {
    it('fails by name, and is repaired by the same upload, for every process', async () => {
      const { open, damage } = await make();
      const [library, other] = [libraryOn(await open()), libraryOn(await open())];
      const upload = (by: PrefixLibrary) => by.upload('t', { name: 'a', ...files }, quota);
      const use = async (by: PrefixLibrary): Promise<unknown> => {
        const { kv } = await by.load('t', 'a');
        const stream = await by.file('t', 'a', 'adapter_model.safetensors');
        return [kv, await by.files('t', 'a'), (await buffer(stream.content)).length, stream.bytes];
      };
      const { record } = await upload(library);
      const whole = await use(library);
      expect(await use(other)).toEqual(whole);
      await damage(record);
      for (const each of [library, other]) await expect(use(each)).rejects.toMatchObject({ code: 'prefix_damaged' });
      expect(await upload(library)).toEqual({ record, created: false });
      for (const each of [library, other, libraryOn(await open())]) {
        expect(await use(each)).toEqual(whole);
        expect((await each.list('t')).data).toEqual([record]);
        expect((await each.get('t', 'a')).versions).toEqual([record]);
      }
    });

    it('counts against the quota once', async () => {
      const { open, damage } = await make();
      const library = libraryOn(await open());
      const { record } = await library.upload('t', { name: 'a', ...files }, quota);
      await damage(record);
      for (let i = 0; i < 2; i++) await library.upload('t', { name: 'a', ...files }, quota);
      for (const each of [library, libraryOn(await open())]) {
        await expect(each.upload('t', { name: 'b', ...files }, quota)).rejects.toThrow('1 of at most 1 prefixes');
        const bytes = each.upload('t', { name: 'b', ...files }, { maxBytes: 2 * record.bytes - 1 });
        await expect(bytes).rejects.toThrow(`${record.bytes} of at most`);
      }
      await library.delete('t', 'a');
      expect(await library.upload('t', { name: 'b', ...files }, quota)).toMatchObject({ created: true });
    });

    it('is repaired once by many at the same time', async () => {
      const { open, damage } = await make();
      const store = await open();
      const { record } = await libraryOn(store).upload('t', { name: 'a', ...files });
      await damage(record);
      const uploads = Array.from({ length: 5 }, () => libraryOn(store).upload('t', { name: 'a', ...files }));
      for (const upload of await Promise.all(uploads)) expect(upload).toEqual({ record, created: false });
      expect(await store.isWhole('t', 'a', record.version)).toBe(true);
    });
  });
}
