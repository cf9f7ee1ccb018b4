import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import type { PrefixLibrary } from '../../src/prefix/library.js';
import { seedPrefixes } from '../../src/app/seed.js';
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
    seedPrefixes({ bundled, library, tenant: 'default', marker: join(scratch, 'seeded') });

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
  const options = { bundled: join(scratch, 'nothing'), library, tenant: 'default', marker: join(scratch, 'seeded') };
  await seedPrefixes(options);
  expect(await namesIn(library)).toEqual([]);
});
