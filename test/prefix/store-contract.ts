import { buffer } from 'node:stream/consumers';

import { beforeEach, describe, expect, it } from 'vitest';

import { adapterId, nameKey } from '../../src/prefix/name.js';
import type { PrefixStore } from '../../src/prefix/store.js';
import { base, storeUpload } from './fixtures.js';
import { describeQuota } from './quota-contract.js';
import { describeState } from './state-contract.js';

/** Opens the store under test for a base model; two calls with the same fingerprint see the same prefixes. */
export type OpenStore = (fingerprint: string) => Promise<PrefixStore>;

/** What every `PrefixStore` must do. `makeStore` gives each test an empty place and a way to open it. */
export function describeStore(kind: string, makeStore: () => Promise<OpenStore>): void {
  describeQuota(kind, makeStore);
  describeState(kind, makeStore);
  describe(`${kind} keeps the store's contract`, () => {
    let open: OpenStore;
    let store: PrefixStore;

    beforeEach(async () => {
      open = await makeStore();
      store = await open(base.fingerprint);
    });

    it('gives back what was put, byte by byte, also after it is opened again', async () => {
      const upload = storeUpload('users/alice', 1);
      const { info, files, kv } = upload;
      expect(await store.put('t', upload)).toEqual({ record: info, created: true });
      for (const opened of [store, await open(base.fingerprint)]) {
        expect(await opened.get('t', 'users/alice')).toEqual({ ...info, versions: [info] });
        const read = async (file: Parameters<PrefixStore['read']>[3]): Promise<number[]> => [
          ...((await opened.read('t', info.name, info.version, file)) ?? []),
        ];
        expect(await read('adapter_config.json')).toEqual([...files.config]);
        expect(await read('adapter_model.safetensors')).toEqual([...files.model]);
        expect(await read('kv.safetensors')).toEqual([...(kv as Uint8Array)]);
        const stream = (await opened.stream('t', info.name, info.version, 'adapter_model.safetensors'))!;
        expect(stream.bytes).toBe(files.model.length);
        expect([...(await buffer(stream.content))]).toEqual([...files.model]);
      }
    });

    it('has nothing before, and of files that an upload left out', async () => {
      expect(await store.get('t', 'a')).toBeUndefined();
      expect(await store.read('t', 'a', '0'.repeat(64), 'adapter_config.json')).toBeUndefined();
      expect(await store.stream('t', 'a', '0'.repeat(64), 'adapter_config.json')).toBeUndefined();
      expect(await store.list('t')).toEqual({ data: [], hasMore: false });
      expect(await store.delete('t', 'a')).toBe(false);
      const { kv: _, ...upload } = storeUpload('a', 1);
      await store.put('t', upload);
      expect(await store.read('t', 'a', upload.info.version, 'kv.safetensors')).toBeUndefined();
      expect(await store.stream('t', 'a', upload.info.version, 'kv.safetensors')).toBeUndefined();
      expect(await store.read('t', 'a', '0'.repeat(64), 'adapter_config.json')).toBeUndefined();
    });

    it('keeps a chat template, and has none of an adapter without one', async () => {
      const plain = storeUpload('a', 1);
      const template = new TextEncoder().encode('{{ messages }}');
      const version = '5'.repeat(64);
      const upload = {
        ...plain,
        info: { ...plain.info, version, template: true as const },
        files: { ...plain.files, template },
      };
      await store.put('t', plain);
      await store.put('t', upload);
      for (const opened of [store, await open(base.fingerprint)]) {
        expect(await opened.read('t', 'a', version, 'chat_template.jinja')).toEqual(Buffer.from(template));
        expect(await opened.isWhole('t', 'a', version)).toBe(true);
        expect(await opened.get('t', 'a')).toMatchObject({ template: true });
        expect(await opened.read('t', 'a', plain.info.version, 'chat_template.jinja')).toBeUndefined();
        expect(await opened.stream('t', 'a', plain.info.version, 'chat_template.jinja')).toBeUndefined();
      }
    });

    it('is idempotent, and keeps the first record of a version', async () => {
      const upload = storeUpload('a', 1);
      await store.put('t', upload);
      const later = { ...upload, info: { ...upload.info, created: 9, warnings: [] } };
      expect(await store.put('t', later)).toEqual({ record: upload.info, created: false });
      expect(await store.get('t', 'a')).toEqual({ ...upload.info, versions: [upload.info] });
    });

    it('makes the last version put the current one, and keeps the others', async () => {
      const [one, two] = [storeUpload('a', 1), storeUpload('a', 2)];
      await store.put('t', one);
      expect(await store.put('t', two)).toEqual({ record: two.info, created: true });
      expect(await store.get('t', 'a')).toMatchObject({ ...two.info, versions: [two.info, one.info] });
      expect(await store.put('t', one)).toEqual({ record: one.info, created: false });
      expect(await store.get('t', 'a')).toMatchObject({ ...one.info, versions: [two.info, one.info] });
      expect((await store.list('t')).data).toEqual([one.info]);
    });

    it('promotes a version that is there, and no other', async () => {
      const [one, two] = [storeUpload('a', 1), storeUpload('a', 2)];
      expect(await store.promote('t', 'a', one.info.version)).toBeUndefined();
      for (const upload of [one, two]) await store.put('t', upload);
      expect(await store.promote('t', 'a', one.info.version)).toEqual(one.info);
      expect(await store.get('t', 'a')).toMatchObject({ ...one.info, versions: [two.info, one.info] });
      expect((await store.list('t')).data).toEqual([one.info]);
      expect(await store.promote('t', 'a', one.info.version.slice(0, 12))).toBeUndefined();
      expect(await store.promote('t', 'b', one.info.version)).toBeUndefined();
      expect(await store.promote('u', 'a', one.info.version)).toBeUndefined();
    });

    it('finds a version by its first digits', async () => {
      const [one, two] = [storeUpload('a', 1), storeUpload('a', 2)];
      const twin = { ...two, info: { ...two.info, version: `${two.info.version.slice(0, 63)}1` } };
      for (const upload of [one, two, twin]) await store.put('t', upload);
      expect(await store.get('t', 'a', one.info.version.slice(0, 12))).toMatchObject({ version: one.info.version });
      expect(await store.get('t', 'a', two.info.version)).toMatchObject({ version: two.info.version });
      expect(await store.get('t', 'a', 'f'.repeat(12))).toBeUndefined();
      await expect(store.get('t', 'a', two.info.version.slice(0, 12))).rejects.toMatchObject({
        code: 'prefix_version_ambiguous',
      });
    });

    it('deletes a name with all versions, and takes it again', async () => {
      const [one, two, other] = [storeUpload('a', 1), storeUpload('a', 2), storeUpload('ab', 3)];
      for (const upload of [one, two, other]) await store.put('t', upload);
      expect(await store.delete('t', 'a')).toBe(true);
      expect(await store.delete('t', 'a')).toBe(false);
      expect(await store.get('t', 'a')).toBeUndefined();
      expect(await store.get('t', 'a', one.info.version)).toBeUndefined();
      expect(await store.read('t', 'a', two.info.version, 'adapter_config.json')).toBeUndefined();
      expect((await store.list('t')).data).toEqual([other.info]);
      expect(await store.put('t', one)).toEqual({ record: one.info, created: true });
      expect(await store.get('t', 'a')).toEqual({ ...one.info, versions: [one.info] });
    });

    it('tells names apart that differ only in case, or in what replaces a slash', async () => {
      const names = ['A/b', 'a/B', 'a/b', 'A/B', 'a-b', 'a.b', 'a_b', 'ab'];
      for (const [seed, name] of names.entries()) await store.put('t', storeUpload(name, seed));
      for (const [seed, name] of names.entries())
        expect(await store.get('t', name)).toMatchObject(storeUpload(name, seed).info);
      expect((await store.list('t')).data.map(({ name }) => name).sort()).toEqual([...names].sort());
      await store.delete('t', 'a/b');
      expect((await store.list('t')).data.length).toBe(names.length - 1);
    });

    it('finds a name by its adapter id, whatever its capitals and the tenant’s are', async () => {
      const names = ['a', 'A', 'users/alice', 'Users/Alice', 'users,alice'.replace(',', '.')];
      expect(await store.nameOf('T', adapterId('T', 'a'))).toBeUndefined();
      for (const [seed, name] of names.entries()) await store.put('T', storeUpload(name, seed));
      for (const opened of [store, await open(base.fingerprint)]) {
        for (const name of names) expect(await opened.nameOf('T', adapterId('T', name))).toBe(name);
        expect(await opened.nameOf('T', adapterId('T', 'b'))).toBeUndefined();
        expect(await opened.nameOf('T', adapterId('t', 'a'))).toBeUndefined();
      }
    });

    it('finds no adapter id of another tenant or base model', async () => {
      await store.put('t', storeUpload('a', 1));
      await store.put('u', storeUpload('b', 1));
      const other = await open('f'.repeat(64));
      expect(await store.nameOf('u', adapterId('t', 'a'))).toBeUndefined();
      expect(await store.nameOf('v', adapterId('t', 'a'))).toBeUndefined();
      expect(await other.nameOf('t', adapterId('t', 'a'))).toBeUndefined();
      expect(await store.nameOf('t', adapterId('t', 'a'))).toBe('a');
    });

    it('gives no name that is there for the adapter id of one that was deleted, and finds one that comes again', async () => {
      const id = adapterId('t', 'a');
      const found = async (): Promise<unknown> => {
        const name = await store.nameOf('t', id);
        return name && (await store.get('t', name))?.name;
      };
      for (const name of ['a', 'b']) await store.put('t', storeUpload(name, 1));
      expect(await found()).toBe('a');
      await store.delete('t', 'a');
      expect(await found()).toBeUndefined();
      expect(await (await open(base.fingerprint)).nameOf('t', id)).toBeUndefined();
      await store.put('t', storeUpload('a', 2));
      expect(await found()).toBe('a');
      for (const name of ['a', 'b']) await store.delete('t', name);
      expect(await found()).toBeUndefined();
      await store.put('t', storeUpload('a', 1));
      expect(await found()).toBe('a');
    });

    it('takes a name that looks like an adapter id for a name, as long as it is there', async () => {
      const id = adapterId('t', 'a');
      await store.put('t', storeUpload('a', 1));
      expect(await store.nameOf('t', id)).toBe('a');
      await store.put('t', storeUpload(id, 2));
      expect(await store.nameOf('t', id)).toBe(id);
      expect(await store.nameOf('t', adapterId('t', id))).toBe(id);
      await store.delete('t', id);
      expect(await store.nameOf('t', id)).toBe('a');
    });

    it('keeps tenants apart, and base models', async () => {
      const other = await open('f'.repeat(64));
      const upload = storeUpload('a', 1);
      await store.put('t', upload);
      for (const [elsewhere, tenant] of [
        [store, 'T'],
        [store, 'u'],
        [other, 't'],
      ] as const) {
        expect(await elsewhere.get(tenant, 'a')).toBeUndefined();
        expect(await elsewhere.read(tenant, 'a', upload.info.version, 'adapter_config.json')).toBeUndefined();
        expect(await elsewhere.list(tenant)).toEqual({ data: [], hasMore: false });
        expect(await elsewhere.delete(tenant, 'a')).toBe(false);
      }
      expect(await store.get('t', 'a')).toBeDefined();
    });

    it.each(['', '.', '..', '../t', 'a/b', '.tmp', 'a\0', 'a'.repeat(65)])('refuses the tenant %j', async (tenant) => {
      const refused = { code: 'tenant_invalid' };
      await expect(store.put(tenant, storeUpload('a', 1))).rejects.toMatchObject(refused);
      await expect(store.get(tenant, 'a')).rejects.toMatchObject(refused);
      await expect(store.list(tenant)).rejects.toMatchObject(refused);
      await expect(store.nameOf(tenant, '0'.repeat(16))).rejects.toMatchObject(refused);
      await expect(store.delete(tenant, 'a')).rejects.toMatchObject(refused);
    });

    it('lists in one order, page by page, though the cursor be deleted', async () => {
      const names = Array.from({ length: 75 }, (_, i) => `n/${(i * 37) % 75}`);
      for (const [seed, name] of names.entries()) await store.put('t', storeUpload(name, seed));
      const ordered = [...names].sort((a, b) => (nameKey(a) < nameKey(b) ? -1 : 1));
      const listed: string[] = [];
      for (let after: string | undefined, more = true; more;) {
        const page = await store.list('t', { limit: 10, after });
        expect(page.data.length).toBe(Math.min(10, 75 - listed.length));
        listed.push(...page.data.map(({ name }) => name));
        after = listed.at(-1);
        more = page.hasMore;
        if (listed.length === 20) await store.delete('t', after as string);
      }
      expect(listed).toEqual(ordered);
      expect((await store.list('t')).data.length).toBe(74);
      expect(await store.list('t', { after: ordered.at(-1) })).toEqual({ data: [], hasMore: false });
      expect((await store.list('t', { after: ordered[72], limit: 2 })).hasMore).toBe(false);
    });

    it('holds every version that was put at the same time', async () => {
      const uploads = Array.from({ length: 12 }, (_, i) => storeUpload(i % 2 === 0 ? 'a' : 'b', Math.floor(i / 4)));
      const results = await Promise.all(uploads.map((upload) => store.put('t', upload)));
      expect(results.filter(({ created }) => created).length).toBe(6);
      for (const name of ['a', 'b']) expect((await store.get('t', name))?.versions.length).toBe(3);
    });

    it('answers readers while names come and go', async () => {
      const upload = storeUpload('a', 1);
      const writing = { done: false };
      const writer = (async () => {
        try {
          for (let i = 0; i < 20; i++) {
            await store.put('t', upload);
            await store.delete('t', 'a');
          }
        } finally {
          writing.done = true;
        }
      })();
      while (!writing.done) {
        const [found, bytes, { data }] = await Promise.all([
          store.get('t', 'a'),
          store.read('t', 'a', upload.info.version, 'adapter_model.safetensors'),
          store.list('t', { limit: 5 }),
        ]);
        expect(found ?? upload.info).toMatchObject(upload.info);
        expect([...(bytes ?? upload.files.model)]).toEqual([...upload.files.model]);
        expect(data.length).toBeLessThan(2);
      }
      await writer;
      expect(await store.list('t')).toEqual({ data: [], hasMore: false });
    });
  });
}
