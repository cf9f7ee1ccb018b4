import { expect, it } from 'vitest';

import { base } from '../server/harness.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import { adapterFiles, temporaryDirectory } from '../server/prefix-library.js';
import { preamble } from './preamble.js';

it('store list tells which prefixes belong to which base model', async () => {
  const directory = await temporaryDirectory();
  const upload = async (fingerprint: string, id: string, tenant: string, seed: number): Promise<void> => {
    const store = await DiskPrefixStore.open(directory, fingerprint);
    const library = new PrefixLibrary({
      store,
      base: { ...base, id, fingerprint },
      encoder: {} as never,
      cacheBytes: 0,
    });
    const { config, model } = adapterFiles(2, { base_model_name_or_path: id }, seed);
    await library.upload(tenant, { name: 'a', config: new TextEncoder().encode(config), model });
  };
  const [old, young] = ['a'.repeat(64), 'b'.repeat(64)];
  await upload(old, 'old', 'alice', 1);
  await upload(old, 'old', 'alice', 2);
  await upload(old, 'old', 'bob', 1);
  await upload(young, 'young', 'alice', 1);
  const { status, out } = await preamble('store', 'list', `file:${directory}`, '--json');
  expect(status).toBe(0);
  expect(JSON.parse(out)).toEqual([
    { fingerprint: old.slice(0, 16), models: ['old'], tenants: 2, names: 2, versions: 3, bytes: 3 * 32 },
    { fingerprint: young.slice(0, 16), models: ['young'], tenants: 1, names: 1, versions: 1, bytes: 32 },
  ]);
});
