import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { DirectoryKeys } from '../../src/prefix/on-disk/directory-keys.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { adapterId, nameKey } from '../../src/prefix/name.js';
import { base, storeUpload } from './fixtures.js';
import { describeStore } from './store-contract.js';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-store-'));
afterAll(() => fs.rmSync(temporary, { recursive: true }));

function newDirectory(): string {
  return fs.mkdtempSync(path.join(temporary, 'store-'));
}

function tenantDirectory(directory: string): string {
  return path.join(directory, base.fingerprint.slice(0, 16), 't');
}

describeStore('the store on disk', async () => {
  const directory = newDirectory();
  return (fingerprint) => DiskPrefixStore.open(directory, fingerprint);
});

describe('an upload', () => {
  it('looks at other names only where something is limited', async () => {
    const store = await DiskPrefixStore.open(newDirectory(), base.fingerprint);
    const readdir = vi.spyOn(fs.promises, 'readdir');
    onTestFinished(() => readdir.mockRestore());
    await store.put('t', storeUpload('a', 1), {});
    await store.put('t', storeUpload('b', 1), { maxPrefixes: undefined, maxBytes: undefined });
    expect(readdir).not.toHaveBeenCalled();
    await expect(store.put('t', storeUpload('c', 1), { maxPrefixes: 2 })).rejects.toThrow('2 of at most 2');
    expect(readdir).toHaveBeenCalled();
  });
});

describe('an adapter id', () => {
  it('is looked for among all names once, and is that name’s again when it comes back', async () => {
    const store = await DiskPrefixStore.open(newDirectory(), base.fingerprint);
    const find = vi.spyOn(DirectoryKeys.prototype, 'find');
    onTestFinished(() => find.mockRestore());
    const nameOf = (name: string): Promise<string | undefined> => store.nameOf('t', adapterId('t', name));
    await store.put('t', storeUpload('a', 1));
    for (let i = 0; i < 3; i++) expect(await nameOf('a')).toBe('a');
    await store.delete('t', 'a');
    expect(await nameOf('a')).toBeUndefined();
    await store.put('t', storeUpload('a', 1));
    expect(await nameOf('a')).toBe('a');
    expect(find).toHaveBeenCalledTimes(1);
  });

  it('of a damaged name is told to be that', async () => {
    const directory = newDirectory();
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    await store.put('t', storeUpload('a', 1));
    fs.writeFileSync(path.join(tenantDirectory(directory), nameKey('a'), 'name.json'), '{');
    await expect(store.nameOf('t', adapterId('t', 'a'))).rejects.toMatchObject({ code: 'prefix_damaged' });
  });
});

describe('layout', () => {
  it('holds a directory for PEFT per version, and nothing half-done', async () => {
    const directory = newDirectory();
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    const { info } = storeUpload('Users/Alice', 1);
    await store.put('t', { ...storeUpload('Users/Alice', 1), text: 'Dear' });
    await store.put('t', storeUpload('Users/Alice', 2));
    const [key] = fs.readdirSync(tenantDirectory(directory));
    expect(key).toMatch(/^users,alice~[0-9a-f]{16}$/);
    const version = path.join(tenantDirectory(directory), key as string, info.version);
    expect(fs.readdirSync(version).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'kv.safetensors',
      'prefix.json',
    ]);
    const { sha256, ...record } = JSON.parse(fs.readFileSync(path.join(version, 'prefix.json'), 'utf8'));
    expect(record).toEqual({ ...info, text: 'Dear' });
    for (const [file, sum] of Object.entries(sha256)) {
      const content = fs.readFileSync(path.join(version, file));
      expect(sum).toBe(createHash('sha256').update(content).digest('hex'));
    }
    expect(Object.keys(sha256)).toHaveLength(3);
    expect(fs.readdirSync(path.join(directory, '.tmp'))).toEqual([]);
  });

  it('does not take a directory for another name that has the same hash', async () => {
    const directory = newDirectory();
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    await store.put('t', storeUpload('a', 1));
    fs.renameSync(
      path.join(tenantDirectory(directory), nameKey('a')),
      path.join(tenantDirectory(directory), nameKey('b')),
    );
    expect(await store.get('t', 'b')).toBeUndefined();
  });
});

describe('damage', () => {
  it('is told for the name that has it, does not hide others, and can be deleted', async () => {
    const directory = newDirectory();
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    await store.put('t', storeUpload('a', 1));
    await store.put('t', storeUpload('b', 2));
    fs.writeFileSync(path.join(tenantDirectory(directory), nameKey('a'), 'name.json'), '{"name":"a"');
    fs.writeFileSync(path.join(tenantDirectory(directory), '.DS_Store'), 'not ours');
    await expect(store.get('t', 'a')).rejects.toMatchObject({ code: 'prefix_damaged', reason: 'damaged' });
    expect((await store.list('t')).data.map(({ name }) => name)).toEqual(['b']);
    expect(await store.delete('t', 'a')).toBe(true);
    expect(await store.put('t', storeUpload('a', 1))).toMatchObject({ created: true });
  });

  it('adopts a version whose upload was killed before the name told of it', async () => {
    const directory = newDirectory();
    const store = await DiskPrefixStore.open(directory, base.fingerprint);
    await store.put('t', storeUpload('a', 1));
    const nameFile = path.join(tenantDirectory(directory), nameKey('a'), 'name.json');
    const before = fs.readFileSync(nameFile);
    await store.put('t', storeUpload('a', 2));
    fs.writeFileSync(nameFile, before);
    expect(await store.put('t', storeUpload('a', 2))).toMatchObject({ created: true });
    expect((await store.get('t', 'a'))?.versions.length).toBe(2);
    expect(fs.readdirSync(path.join(directory, '.tmp'))).toEqual([]);
  });
});

describe('sweep', () => {
  it('removes what dead processes left, and what is old, and nothing else', async () => {
    const directory = newDirectory();
    const scratch = path.join(directory, '.tmp');
    const [dead, ownPidEarlier, alive, old] = ['999999999-ab-01', `${process.pid}-ab-02`, `${process.ppid}-ab-03`, 'x'];
    for (const entry of [dead, ownPidEarlier, alive, old]) {
      fs.mkdirSync(path.join(scratch, entry, 'inside'), { recursive: true });
    }
    const twoHoursAgo = Date.now() / 1000 - 7200;
    fs.utimesSync(path.join(scratch, old), twoHoursAgo, twoHoursAgo);
    await DiskPrefixStore.open(directory, base.fingerprint);
    expect(fs.readdirSync(scratch)).toEqual([alive]);
  });
});
