import { buffer } from 'node:stream/consumers';

import { beforeEach, describe, expect, it } from 'vitest';

import { newFileId } from '../../src/files/file.js';
import type { FileStore } from '../../src/files/file-store.js';
import { file } from './fixtures.js';

/** What every `FileStore` must do. `makeStore` gives each test an empty place and a way to open it, more than once. */
export function describeFileStore(kind: string, makeStore: () => Promise<() => Promise<FileStore>>): void {
  describe(`${kind} keeps the file store's contract`, () => {
    let open: () => Promise<FileStore>;
    let store: FileStore;
    beforeEach(async () => {
      open = await makeStore();
      store = await open();
    });

    it('gives back what was put, byte by byte, also after it is opened again', async () => {
      const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 31 + (i >> 8));
      const [big, empty] = [file(content.length, 2), file(0, 1)];
      await store.put('t', big, content);
      await store.put('t', empty, new Uint8Array());
      for (const opened of [store, await open()]) {
        expect(await opened.get('t', big.id)).toEqual(big);
        expect(Buffer.compare((await opened.content('t', big.id))!, content)).toBe(0);
        expect(await opened.content('t', empty.id)).toHaveLength(0);
        for (const [{ id, bytes }, whole] of [[big, content] as const, [empty, new Uint8Array()] as const]) {
          const stream = (await opened.stream('t', id))!;
          expect(stream.bytes).toBe(bytes);
          expect(Buffer.compare(await buffer(stream.content), whole)).toBe(0);
        }
        expect(await opened.list('t', { limit: 10 })).toEqual({ data: [big, empty], hasMore: false });
      }
    });

    it('takes a file as its bytes come, whole or not at all, and beyond the quota', async () => {
      const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => i * 31 + (i >> 8));
      const [{ bytes: _, ...record }, { bytes: __, ...broken }, { bytes: ___, ...empty }] = [
        file(0, 3),
        file(0, 2),
        file(0, 1),
      ];
      const parts = async function* (fails = false): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
        if (fails) throw new Error('no more');
      };
      await store.write('t', record, parts());
      await expect(store.write('t', broken, parts(true))).rejects.toThrow('no more');
      await store.write('t', empty, (async function* () {})());
      for (const opened of [store, await open()]) {
        expect(await opened.get('t', record.id)).toEqual({ ...record, bytes: bytes.length });
        expect(Buffer.compare((await opened.content('t', record.id))!, bytes)).toBe(0);
        expect(await opened.get('t', broken.id)).toBeUndefined();
        expect((await opened.list('t', { limit: 9 })).data.map(({ bytes: size }) => size)).toEqual([bytes.length, 0]);
      }
      const put = store.put('t', file(1), Uint8Array.of(1), { maxFiles: 9, maxBytes: bytes.length });
      await expect(put).rejects.toMatchObject({ code: 'file_quota_exceeded' });
    });

    it('has nothing of another tenant, and nothing that no file can be called', async () => {
      const own = file(1);
      await store.put('t', own, Uint8Array.of(7));
      for (const [tenant, id] of [
        ['T', own.id],
        ['other', own.id],
        ['t', newFileId()],
        ['t', '../../t'],
        ['t', ''],
      ] as const) {
        expect(await store.get(tenant, id)).toBeUndefined();
        expect(await store.content(tenant, id)).toBeUndefined();
        expect(await store.stream(tenant, id)).toBeUndefined();
        expect(await store.delete(tenant, id)).toBe(false);
      }
      expect(await store.list('other', { limit: 10 })).toEqual({ data: [], hasMore: false });
      expect(await store.get('t', own.id)).toEqual(own);
    });

    it('lists page by page, newest first', async () => {
      const files = Array.from({ length: 5 }, (_, i) => file(1, 10 - i));
      for (const each of [...files].reverse()) await store.put('t', each, Uint8Array.of(1));
      const seen: string[] = [];
      for (let after: string | undefined; ; after = seen.at(-1)) {
        const { data, hasMore } = await store.list('t', { limit: 2, after });
        seen.push(...data.map(({ id }) => id));
        if (!hasMore) break;
      }
      expect(seen).toEqual(files.map(({ id }) => id));
      expect(await store.list('t', { limit: 2, after: newFileId() })).toEqual({ data: [], hasMore: false });
    });

    it('takes no more than the quota, and as much again as is deleted', async () => {
      const quota = { maxFiles: 2, maxBytes: 100 };
      const put = (bytes: number) => {
        const each = file(bytes);
        return store.put('t', each, new Uint8Array(bytes), quota).then(() => each.id);
      };
      const refused = { code: 'file_quota_exceeded', param: 'file' };
      await expect(put(101)).rejects.toMatchObject(refused);
      const first = await put(60);
      await expect(put(41)).rejects.toMatchObject(refused);
      await put(40);
      await expect(put(0)).rejects.toMatchObject(refused);
      expect(await store.delete('t', first)).toBe(true);
      expect(await store.content('t', first)).toBeUndefined();
      await put(60);
      await store.put('other', file(100), new Uint8Array(100), quota);
    });

    it('keeps to the quota when many come at once', async () => {
      const quota = { maxFiles: 3, maxBytes: 1000 };
      const puts = Array.from({ length: 8 }, () => store.put('t', file(1), Uint8Array.of(1), quota));
      const results = await Promise.allSettled(puts);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
      expect((await store.list('t', { limit: 10 })).data).toHaveLength(3);
    });
  });
}
