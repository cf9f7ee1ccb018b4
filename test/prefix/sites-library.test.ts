import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import { readSitesAdapter } from '../../src/prefix/adapter/read-sites.js';
import { copyPrefixes } from '../../src/prefix/copy.js';
import { kvBytes } from '../../src/prefix/kv.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import { DiskPrefixArchive } from '../../src/prefix/on-disk/disk-archive.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { FakeEncoder } from './fixtures.js';
import { peftFiles, peftPromptFiles, seq2seq, sitesFiles } from './sites-fixtures.js';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-sites-'));
afterAll(() => fs.rmSync(temporary, { recursive: true }));

const newDirectory = (): string => fs.mkdtempSync(path.join(temporary, 'store-'));
const encoder = new FakeEncoder();

async function libraryIn(directory: string): Promise<PrefixLibrary> {
  const store = await DiskPrefixStore.open(directory, seq2seq.fingerprint);
  return new PrefixLibrary({ store, base: seq2seq, encoder, cacheBytes: 1 << 20 });
}

/** An upload of each kind, and how it is described. */
const uploads: [string, AdapterFiles, object][] = [
  [
    'rows at sites',
    sitesFiles({ encoder: 2, cross: 5 }),
    { kind: 'prefix', numVirtualTokens: 5, sites: { encoder: 2, cross: 5 }, bytes: 4 * (2 * 32 + 5 * 24) },
  ],
  ["PEFT's prefix", peftFiles(), { kind: 'prefix', numVirtualTokens: 3, sites: { decoder: 3 }, bytes: 4 * 3 * 24 }],
  ["PEFT's soft prompt", peftPromptFiles(), { kind: 'soft_prompt', numVirtualTokens: 3, bytes: 4 * 3 * 4 }],
];

describe("a library of an encoder-decoder's prefixes", () => {
  it.each(uploads)('stores %s, gives the files back as they came, and serves them', async (_, files, description) => {
    const directory = newDirectory();
    const { record } = await (await libraryIn(directory)).upload('t', { name: 'a', ...files });
    expect(record).toMatchObject(description);
    expect('sites' in record).toBe('sites' in description);
    const reopened = await libraryIn(directory);
    expect(await reopened.get('t', 'a')).toMatchObject(record);
    expect(await reopened.files('t', 'a')).toEqual({
      config: Buffer.from(files.config),
      model: Buffer.from(files.model),
    });
    const { kv } = await reopened.load('t', 'a');
    expect(kv).toEqual(readSitesAdapter(files, seq2seq).kv);
    expect(record.bytes).toBe(kvBytes(kv));
    expect(reopened.cachedBytes).toBe(record.bytes);
    expect(await reopened.upload('t', { name: 'a', ...files })).toEqual({ record, created: false });
    expect(encoder.calls).toBe(0);
  });

  it('is copied to another store, which serves the same', async () => {
    const [from, to] = [newDirectory(), newDirectory()];
    const library = await libraryIn(from);
    for (const [name, files] of uploads) await library.upload('t', { name: name.replaceAll(/\W/g, '-'), ...files });
    const counts = await copyPrefixes(new DiskPrefixArchive(from), new DiskPrefixArchive(to));
    expect(counts).toEqual({ names: 3, copied: 3, skipped: 0, failed: 0 });
    const copy = await libraryIn(to);
    for (const [name, files] of uploads) {
      const { kv, info } = await copy.load('t', name.replaceAll(/\W/g, '-'));
      expect(kv).toEqual(readSitesAdapter(files, seq2seq).kv);
      expect(info).toEqual(await library.get('t', info.name));
    }
  });

  it('refuses texts', async () => {
    const library = await libraryIn(newDirectory());
    const refused = { code: 'text_unsupported', param: 'text' };
    await expect(library.uploadText('t', { name: 'a', text: 'Dear', tokens: [7] })).rejects.toMatchObject(refused);
  });
});
