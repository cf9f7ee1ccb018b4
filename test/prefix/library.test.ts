import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';

import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { selfKv, selfRows } from '../../src/prefix/kv.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { PrefixLibrary, type PrefixLibraryDeps } from '../../src/prefix/library.js';
import { readAdapter } from '../../src/prefix/adapter/read.js';
import { adapterId } from '../../src/prefix/name.js';
import type { FileStream } from '../../src/prefix/store.js';
import { base, columns, config, FakeEncoder, model, prefixFiles, softPromptFiles, values } from './fixtures.js';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-library-'));
afterAll(() => fs.rmSync(temporary, { recursive: true }));

let store: DiskPrefixStore;
let encoder: FakeEncoder;
let library: PrefixLibrary;

function newLibrary(changes: Partial<PrefixLibraryDeps> = {}): PrefixLibrary {
  return new PrefixLibrary({ store, base, encoder, cacheBytes: 1 << 20, now: () => 1_700_000_000_999, ...changes });
}

beforeEach(async () => {
  store = await DiskPrefixStore.open(fs.mkdtempSync(path.join(temporary, 'store-')), base.fingerprint);
  encoder = new FakeEncoder();
  library = newLibrary();
});

const notFound = { code: 'prefix_not_found', param: 'name', reason: 'not_found' };

describe('upload', () => {
  it('answers with what the version is', async () => {
    const { record, created } = await library.upload('t', { name: 'users/alice', ...prefixFiles() });
    expect(created).toBe(true);
    expect(record).toEqual({
      name: 'users/alice',
      version: expect.stringMatching(/^[0-9a-f]{64}$/),
      kind: 'prefix',
      placement: 'prefix',
      numVirtualTokens: 3,
      bytes: 3 * columns * 4,
      created: 1_700_000_000,
      baseModel: 'tiny',
      warnings: [],
    });
    expect(await library.get('t', 'users/alice')).toEqual({ ...record, versions: [record] });
    expect(encoder.calls).toBe(0);
  });

  it('gives the same version for the same content, and does not compile it again', async () => {
    const first = await library.upload('t', { name: 'a', ...softPromptFiles() });
    library = newLibrary({ now: () => 0 });
    expect(await library.upload('t', { name: 'a', ...softPromptFiles() })).toEqual({ ...first, created: false });
    expect(encoder.calls).toBe(1);
    const elsewhere = await library.upload('t', { name: 'b', ...softPromptFiles() });
    expect(elsewhere).toMatchObject({ created: true, record: { version: first.record.version } });
  });

  it('at the same time of the same content makes one version', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => library.upload('t', { name: 'a', ...softPromptFiles() })),
    );
    expect(all.filter(({ created }) => created).length).toBe(1);
    expect((await library.get('t', 'a')).versions.length).toBe(1);
  });

  it('keeps placement, and the same files in another place are another version', async () => {
    const one = await library.upload('t', { name: 'a', ...prefixFiles() });
    const two = await library.upload('t', { name: 'a', placement: 'infix', ...prefixFiles() });
    expect(two.record).toMatchObject({ placement: 'infix', kind: 'prefix' });
    expect(two.record.version).not.toBe(one.record.version);
    expect((await library.load('t', 'a')).info.placement).toBe('infix');
    expect((await library.load('t', 'a', one.record.version.slice(0, 12))).info.placement).toBe('prefix');
  });

  it('keeps a chat template, which makes another version, and gives it back', async () => {
    const template = new TextEncoder().encode('{{ bos_token }}é');
    const plain = await library.upload('t', { name: 'a', ...prefixFiles() });
    const own = await library.upload('t', { name: 'a', ...prefixFiles(), template });
    expect(own).toMatchObject({ created: true, record: { template: true } });
    expect(plain.record.template).toBeUndefined();
    expect(own.record.version).not.toBe(plain.record.version);
    expect((await library.load('t', 'a')).template).toBe('{{ bos_token }}é');
    expect((await library.load('t', 'a', plain.record.version)).template).toBeUndefined();
    const files = await library.files('t', 'a');
    expect(await library.upload('t', { name: 'a', ...files })).toMatchObject({
      created: false,
      record: { version: own.record.version },
    });
    const missing = library.file('t', 'a', 'chat_template.jinja', plain.record.version);
    await expect(missing).rejects.toMatchObject({ code: 'prefix_not_found' });
  });

  it('notes an infix in the config that is downloaded: uploaded again, it is the same version', async () => {
    const { record } = await library.upload('t', { name: 'a', placement: 'infix', ...prefixFiles() });
    const files = await library.files('t', 'a');
    expect(JSON.parse(new TextDecoder().decode(files.config))).toMatchObject({
      placement: 'infix',
      peft_type: 'PREFIX_TUNING',
    });
    const again = await library.upload('t', { name: 'b', ...files });
    expect(again.record).toMatchObject({ placement: 'infix', version: record.version });
  });

  it('passes force on, and keeps warnings', async () => {
    const files = { config: config({ base_model_name_or_path: 'other' }), model: model() };
    expect((await library.upload('t', { name: 'a', ...files })).record.warnings).toHaveLength(1);
    expect((await library.get('t', 'a')).warnings).toHaveLength(1);
    expect((await library.upload('t', { name: 'b', force: true, ...files })).record.warnings).toEqual([]);
  });

  it.each([
    ['a//b', 'prefix_name_invalid'],
    ['tiny', 'prefix_name_reserved'],
  ])('refuses the name %s', async (name, code) => {
    const refused = { code, param: 'name' };
    await expect(library.upload('t', { name, ...prefixFiles() })).rejects.toMatchObject(refused);
    await expect(library.uploadText('t', { name, text: 'a', tokens: [1] })).rejects.toMatchObject(refused);
  });

  it('stores nothing of what it refuses', async () => {
    const files = { config: config({ num_layers: 3 }), model: model() };
    await expect(library.upload('t', { name: 'a', ...files })).rejects.toMatchObject({ code: 'num_layers_mismatch' });
    encoder.encodeEmbeddings = async (_, length) => selfKv(length, new Float32Array(length * columns).fill(NaN));
    const compiled = library.upload('t', { name: 'a', ...softPromptFiles() });
    await expect(compiled).rejects.toMatchObject({ code: 'prefix_kv_not_finite' });
    expect(await library.list('t')).toEqual({ data: [], hasMore: false });
  });
});

describe('uploadText', () => {
  it('stores an adapter that is valid itself, and the text beside it', async () => {
    const { record } = await library.uploadText('t', { name: 'greeting', text: 'Dear', tokens: [7, 8] });
    expect(record).toMatchObject({ kind: 'text', placement: 'prefix', numVirtualTokens: 2, bytes: 2 * columns * 4 });
    const adapter = readAdapter(await library.files('t', 'greeting'), base);
    const { kv } = await library.load('t', 'greeting');
    expect(adapter).toMatchObject({ kind: 'prefix', length: 2, rows: selfRows(kv), warnings: [] });
    expect(kv).toEqual(await encoder.encodeTokens([7, 8]));
  });

  it('gives the same version for the same text', async () => {
    const upload = { name: 'a', text: 'Dear', tokens: [7, 8] };
    const first = await library.uploadText('t', upload);
    expect(await library.uploadText('t', upload)).toEqual({ ...first, created: false });
    expect(encoder.calls).toBe(1);
  });

  it('takes 1 to half a context of tokens', async () => {
    const upload = (length: number): Promise<unknown> =>
      library.uploadText('t', { name: 'a', text: 'x'.repeat(length), tokens: new Array<number>(length).fill(1) });
    await expect(upload(0)).rejects.toMatchObject({ code: 'text_empty', param: 'text' });
    await expect(upload(9)).rejects.toMatchObject({ code: 'text_too_long', param: 'text' });
    await expect(upload(8)).resolves.toMatchObject({ created: true });
    library = newLibrary({ maxLength: 2 });
    await expect(upload(3)).rejects.toMatchObject({ code: 'text_too_long' });
  });
});

describe('load', () => {
  it('gives the rows of every kind', async () => {
    await library.upload('t', { name: 'prefix', ...prefixFiles() });
    await library.upload('t', { name: 'soft', ...softPromptFiles() });
    expect((await library.load('t', 'prefix')).kv).toEqual(selfKv(3, values(3 * columns)));
    const encoded = await encoder.encodeEmbeddings(values(3 * base.width), 3);
    expect((await library.load('t', 'soft')).kv).toEqual(encoded);
    expect((await newLibrary().load('t', 'soft')).kv).toEqual(encoded);
  });

  it('reads a cold prefix once, however many ask', async () => {
    await library.upload('t', { name: 'a', ...prefixFiles() });
    const read = vi.spyOn(store, 'read');
    const loaded = await Promise.all(Array.from({ length: 10 }, () => library.load('t', 'a')));
    expect(read).toHaveBeenCalledTimes(1);
    expect(new Set(loaded.map(({ kv }) => kv)).size).toBe(1);
    expect((await library.load('t', 'a')).kv).toBe(loaded[0]?.kv);
    expect(library.cachedBytes).toBe(3 * columns * 4);
  });

  it('tells how many asked, how many found it in memory, and of each load', async () => {
    const [asked, loaded] = [vi.fn(), vi.fn()];
    library = newLibrary({ observer: { prefixLookedUp: asked, prefixLoaded: loaded } });
    await library.upload('t', { name: 'a', ...prefixFiles() });
    await Promise.all(Array.from({ length: 3 }, () => library.load('t', 'a')));
    await library.load('t', 'a');
    expect(asked.mock.calls).toEqual([[false], [false], [false], [true]]);
    expect(loaded).toHaveBeenCalledTimes(1);
  });

  it('does not keep a failure', async () => {
    await library.upload('t', { name: 'a', ...prefixFiles() });
    vi.spyOn(store, 'read').mockRejectedValueOnce(new Error('disk'));
    await expect(library.load('t', 'a')).rejects.toThrow('disk');
    await expect(library.load('t', 'a')).resolves.toBeDefined();
  });

  it('holds no more bytes than it may, and gives up the least recently used', async () => {
    const size = 3 * columns * 4;
    library = newLibrary({ cacheBytes: 2 * size });
    for (const [start, name] of ['a', 'b', 'c'].entries())
      await library.upload('t', { name, ...prefixFiles(3, start) });
    const read = vi.spyOn(store, 'read');
    for (const name of ['a', 'b', 'a', 'c', 'a']) await library.load('t', name);
    expect(read).toHaveBeenCalledTimes(3);
    expect(library.cachedBytes).toBe(2 * size);
    await library.load('t', 'b');
    expect(read).toHaveBeenCalledTimes(4);
  });

  it('works without any cache', async () => {
    library = newLibrary({ cacheBytes: 0 });
    await library.upload('t', { name: 'a', ...prefixFiles() });
    expect((await library.load('t', 'a')).kv.length).toBe(3);
    expect(library.cachedBytes).toBe(0);
  });

  it("does not find another tenant's, an unknown version, or what is no name", async () => {
    await library.upload('t', { name: 'a', ...prefixFiles() });
    await library.load('t', 'a');
    await expect(library.load('u', 'a')).rejects.toMatchObject(notFound);
    await expect(library.load('t', 'a', 'f'.repeat(12))).rejects.toMatchObject(notFound);
    for (const name of ['', '../t/a', 'b']) {
      await expect(library.load('t', name)).rejects.toMatchObject(notFound);
      await expect(library.get('t', name)).rejects.toMatchObject(notFound);
      await expect(library.delete('t', name)).rejects.toMatchObject(notFound);
    }
  });

  it('tells of a damaged file instead of serving it', async () => {
    await library.upload('t', { name: 'a', ...prefixFiles() });
    for (const bytes of [new Uint8Array(9), model(3, base.width), model(1, columns, values(columns).fill(NaN))]) {
      vi.spyOn(store, 'read').mockResolvedValueOnce(bytes);
      await expect(library.load('t', 'a')).rejects.toMatchObject({ code: 'prefix_damaged', reason: 'damaged' });
    }
  });
});

describe('nameOf', () => {
  it('takes names for names, and asks the store only for what looks like an adapter id', async () => {
    await library.upload('t', { name: 'a', ...prefixFiles() });
    const nameOf = vi.spyOn(store, 'nameOf');
    for (const name of ['a', 'nobody', '../t/a', '']) expect(await library.nameOf('t', name)).toBe(name);
    expect(nameOf).not.toHaveBeenCalled();
    expect(await library.nameOf('t', adapterId('t', 'a'))).toBe('a');
    for (const [tenant, id] of [
      ['t', adapterId('t', 'b')],
      ['u', adapterId('t', 'a')],
    ] as const) {
      await expect(library.nameOf(tenant, id)).rejects.toMatchObject(notFound);
    }
  });
});

describe('delete and files', () => {
  it('makes a name unusable at once, though it be in memory', async () => {
    const { record } = await library.upload('t', { name: 'a', ...prefixFiles() });
    const held = await library.load('t', 'a');
    await library.delete('t', 'a');
    await expect(library.load('t', 'a')).rejects.toMatchObject(notFound);
    await expect(library.load('t', 'a', record.version)).rejects.toMatchObject(notFound);
    await expect(library.file('t', 'a', 'adapter_config.json')).rejects.toMatchObject(notFound);
    expect(selfRows(held.kv)).toEqual(values(3 * columns));
  });

  it('gives back the files as they came', async () => {
    const one = await library.upload('t', { name: 'a', ...softPromptFiles() });
    await library.upload('t', { name: 'a', ...prefixFiles() });
    const bytes = async (file: Promise<FileStream>): Promise<number[]> => [...(await buffer((await file).content))];
    expect(await bytes(library.file('t', 'a', 'adapter_config.json'))).toEqual([...prefixFiles().config]);
    expect(await bytes(library.file('t', 'a', 'adapter_model.safetensors', one.record.version.slice(0, 12)))).toEqual([
      ...softPromptFiles().model,
    ]);
    const both = await library.files('t', 'a');
    expect([...both.model]).toEqual([...prefixFiles().model]);
  });

  it('lists by page', async () => {
    for (const name of ['a', 'b', 'c']) await library.upload('t', { name, ...prefixFiles() });
    const page = await library.list('t', { limit: 2 });
    expect(page.data.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(page.hasMore).toBe(true);
    const rest = await library.list('t', { limit: 2, after: 'b' });
    expect(rest).toEqual({ data: [expect.objectContaining({ name: 'c' })], hasMore: false });
  });
});
