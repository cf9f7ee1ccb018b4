import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import { DiskTenancyStore } from '../../src/tenancy/disk-tenancy-store.js';
import { issueKey } from '../../src/tenancy/managed-key.js';
import { describeTenancyStore } from './store-contract.js';

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'preamble-tenancy-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

describeTenancyStore('the store on disk', async () => {
  const directory = await temporaryDirectory();
  return () => DiskTenancyStore.open(directory);
});

describe('the store on disk', () => {
  it('keeps a hash that only the owner may read, and never the key', async () => {
    const directory = await temporaryDirectory();
    const store = await DiskTenancyStore.open(directory);
    expect(await readdir(directory)).toEqual(['.tmp']);
    const { text, record } = issueKey({ tenant: 'a', label: undefined }, 1e12);
    await store.addKey(record);
    expect(await readdir(join(directory, '.tenancy'))).toEqual(['tenancy.json']);
    const file = join(directory, '.tenancy/tenancy.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const stored = await readFile(file, 'utf8');
    expect(stored).toContain(record.hash);
    expect(stored).not.toContain(text.slice(-43, -4));
  });

  it('goes on after a process that was killed while it wrote', async () => {
    const directory = await temporaryDirectory();
    await (await DiskTenancyStore.open(directory)).setTenant('a', {}, 1);
    await mkdir(join(directory, '.tmp/999999999-ab-01'));
    const store = await DiskTenancyStore.open(directory);
    await store.setTenant('b', {}, 2);
    const { data } = await (await DiskTenancyStore.open(directory)).listTenants({ limit: 9 });
    expect(data.map(({ tenant }) => tenant)).toEqual(['a', 'b']);
  });

  it.each(['', '{', '[]', 'null', '{"tenants":[]}'])('does not start with a file of %j', async (text) => {
    const directory = await temporaryDirectory();
    await (await DiskTenancyStore.open(directory)).setTenant('a', {}, 1);
    await writeFile(join(directory, '.tenancy/tenancy.json'), text);
    await expect(DiskTenancyStore.open(directory)).rejects.toThrow(/tenancy\.json is damaged/);
  });

  it.each([
    ['{"tenants":[null],"keys":[]}', 'entry 1 of tenants is no tenant'],
    ['{"tenants":[],"keys":[{"id":"1"}]}', 'entry 1 of keys is no key'],
  ])('does not start with a damaged record, %s', async (text, problem) => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, '.tenancy'));
    await writeFile(join(directory, '.tenancy/tenancy.json'), text);
    await expect(DiskTenancyStore.open(directory)).rejects.toThrow(problem);
  });

  it('leaves everything as it was when it cannot write, and writes again when it can', async () => {
    const directory = await temporaryDirectory();
    const store = await DiskTenancyStore.open(directory);
    await store.setTenant('a', {}, 1);
    // A file in the place of the directory: root may write anywhere, so that permissions would not do.
    await rm(join(directory, '.tenancy'), { recursive: true });
    await writeFile(join(directory, '.tenancy'), '');
    await expect(store.setTenant('b', {}, 1)).rejects.toMatchObject({ store: 'tenants', code: 'store_unavailable' });
    expect(await readdir(join(directory, '.tmp'))).toEqual([]);
    expect(await store.getTenant('b')).toBeUndefined();
    await rm(join(directory, '.tenancy'));
    await store.setTenant('c', {}, 1);
    expect((await store.listTenants({ limit: 9 })).data.map(({ tenant }) => tenant)).toEqual(['a', 'c']);
  });
});
