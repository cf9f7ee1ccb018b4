import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it, vi } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { PrefixError } from '../../src/prefix/errors.js';
import type { PrefixLibrary } from '../../src/prefix/library.js';
import { DiskSeedMarker, seededTenants, seedPrefixes, seedWherePossible } from '../../src/app/seed.js';
import { defaultConfig } from '../../src/config/config.js';
import type { Config } from '../../src/config/variables.js';
import { adapterFiles, temporaryDirectory, testLibrary } from '../server/prefix-library.js';

async function bundle(directory: string, name: string): Promise<void> {
  const { config, model } = adapterFiles(2);
  await mkdir(join(directory, name), { recursive: true });
  await writeFile(join(directory, name, 'adapter_config.json'), config);
  await writeFile(join(directory, name, 'adapter_model.safetensors'), model);
}

async function namesIn(library: PrefixLibrary): Promise<string[]> {
  return (await library.list('default')).data.map(({ name }) => name);
}

it('uploads the bundled prefixes once: what was deleted stays deleted', async () => {
  const library = await testLibrary();
  const scratch = await temporaryDirectory();
  const bundled = join(scratch, 'bundled');
  for (const name of ['headlines', 'letters', 'mine']) await bundle(bundled, name);
  await writeFile(join(bundled, 'README.md'), 'no prefix');
  await library.uploadText('default', { name: 'mine', text: 'x', tokens: [1] });
  const seed = (): Promise<void> =>
    seedPrefixes('default', { bundled, library, marker: new DiskSeedMarker(scratch, 'f'.repeat(64)) });

  await seed();
  expect(await namesIn(library)).toEqual(['headlines', 'letters', 'mine']);
  expect((await library.get('default', 'mine')).kind).toBe('text');

  await library.delete('default', 'headlines');
  await seed();
  expect(await namesIn(library)).toEqual(['letters', 'mine']);
});

it('has nothing to do without a bundle', async () => {
  const library = await testLibrary();
  const scratch = await temporaryDirectory();
  const marker = new DiskSeedMarker(scratch, 'f'.repeat(64));
  await seedPrefixes('default', { bundled: join(scratch, 'nothing'), library, marker });
  expect(await namesIn(library)).toEqual([]);
});

it('marks each tenant of its own in the store', async () => {
  const marker = new DiskSeedMarker(await temporaryDirectory(), 'f'.repeat(64));
  await marker.add('default');
  await marker.add('alice');
  expect(await Promise.all(['default', 'alice', 'Alice', 'bob'].map((tenant) => marker.has(tenant)))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

const fullDisk = Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'open' });

it.each([
  ['a store that is away', new StoreError('prefixes', 'unavailable')],
  ['a full disk', fullDisk],
  ['a limit', new PrefixError('prefix_too_long', 'too long')],
])('is logged and left for later because of %s', async (_, refusal) => {
  const marker = { has: () => Promise.resolve(false), add: () => Promise.reject(refusal) };
  const options = { bundled: await temporaryDirectory(), library: await testLibrary(), marker };
  const warn = vi.fn();
  await seedWherePossible(['default'], options, { warn });
  const fields = expect.objectContaining({ type: refusal.name }) as unknown;
  expect(warn.mock.calls).toEqual([[fields, 'bundled prefixes are left out until a later start']]);
});

it('hides no fault of the program', async () => {
  const marker = { has: () => Promise.reject(new TypeError('a fault')), add: () => Promise.resolve() };
  const options = { bundled: await temporaryDirectory(), library: await testLibrary(), marker };
  await expect(seedWherePossible(['default'], options, { warn: vi.fn() })).rejects.toThrow('a fault');
});

const directory = { kind: 'file', directory: '/elsewhere' } as const;
const redis = { kind: 'redis', url: 'redis://127.0.0.1' } as const;
const keys = ['alice', 'alice', 'default'].map((tenant, i) => ({ tenant, key: `key-${i}` }));
const alice = keys.slice(0, 1);

it.each<[what: string, settings: Partial<Config>, tenants: string[]]>([
  ['default, in the default directory', {}, ['default']],
  ['nobody in a directory that was named', { store: directory }, []],
  ['default in a directory that was named, when asked to', { store: directory, seedPrefixes: 'on' }, ['default']],
  ['nobody on a Redis', { store: redis }, []],
  ['default on a Redis when asked to', { store: redis, seedPrefixes: 'on' }, ['default']],
  ['nobody when told not to', { seedPrefixes: 'off' }, []],
  ['nobody whose key is for another tenant', { apiKeys: alice }, []],
  ['default where there is a key for it', { apiKeys: keys }, ['default']],
  ['every tenant of a key when asked to', { apiKeys: keys, seedPrefixes: 'on' }, ['alice', 'default']],
  ['nobody where all keys are made later', { adminKey: 'k'.repeat(16), seedPrefixes: 'on' }, []],
  ['nobody with another model', { model: '/mine', seedPrefixes: 'on' }, []],
])('is for %s', (_, settings, tenants) => {
  expect(seededTenants({ ...defaultConfig(), ...settings })).toEqual(tenants);
});
