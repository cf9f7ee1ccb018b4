import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { PrefixGrants } from '../../src/prefix/grants.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { base, storeUpload } from './fixtures.js';

const thousand = Array.from({ length: 1000 }, (_, i) => `t${i}`);
const refused = { code: 'too_many_grants', param: 'tenant', reason: 'quota' };

it('grants no prefix to more than 1000 tenants, and no tenant more than 1000 prefixes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'preamble-grants-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const store = await DiskPrefixStore.open(directory, base.fingerprint);
  const grants = new PrefixGrants(store);
  for (const name of ['a', 'b']) await store.put('owner', storeUpload(name, 1));
  await store.update('owner', 'a', () => ({ grants: { owner: 'owner', tenants: thousand } }));
  await grants.add('owner', 'a', 't7'); // it has it already
  await expect(grants.add('owner', 'a', 'one-more')).rejects.toMatchObject(refused);
  expect(await grants.list('owner', 'a')).toEqual(thousand);

  const offers = join(directory, '.offers', base.fingerprint.slice(0, 16));
  await mkdir(offers, { recursive: true });
  await writeFile(join(offers, 'full.json'), JSON.stringify(thousand.map((owner) => ({ owner, name: 'x' }))));
  await expect(grants.add('owner', 'b', 'full')).rejects.toMatchObject(refused);
  expect(await grants.list('owner', 'b')).toEqual([]);
  expect(await grants.granted('full')).toEqual([]);
});
