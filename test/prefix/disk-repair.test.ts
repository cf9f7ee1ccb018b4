import fs from 'node:fs';
import path from 'node:path';

import { expect, it } from 'vitest';

import { nameKey } from '../../src/prefix/name.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { base, storeUpload } from './fixtures.js';
import { type Damageable, describeRepair } from './repair-contract.js';

const KV = 'kv.safetensors';
const NAME = '../name.json';

/** A way to damage a file of a version, by its path from the version's directory. */
const damaging = (file: string, damage: (file: string) => void) => async (): Promise<Damageable> => {
  const directory = await temporaryDirectory();
  const name = path.join(directory, base.fingerprint.slice(0, 16), 't', nameKey('a'));
  return {
    open: () => DiskPrefixStore.open(directory, base.fingerprint),
    damage: async ({ version }) => damage(path.join(name, version, file)),
  };
};
const remove = (file: string): void => fs.rmSync(file, { recursive: true });
const cut = (file: string): void => fs.truncateSync(file, 50);
const flip = (file: string): void => {
  const bytes = fs.readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  fs.writeFileSync(file, bytes);
};

describeRepair('the store on disk', {
  'missing keys and values': damaging(KV, remove),
  'truncated keys and values': damaging(KV, cut),
  'a flipped bit in keys and values': damaging(KV, flip),
  'a missing tensor file': damaging('adapter_model.safetensors', remove),
  'a flipped bit in a tensor file': damaging('adapter_model.safetensors', flip),
  'a missing config': damaging('adapter_config.json', remove),
  'a missing version': damaging('.', remove),
  'a truncated name file': damaging(NAME, cut),
  'a missing name file': damaging(NAME, remove),
  'a truncated name file and missing keys and values': damaging(KV, (file) => {
    remove(file);
    cut(path.join(path.dirname(file), NAME));
  }),
});

it('rebuilds a damaged name file with all undamaged versions when one is uploaded', async () => {
  const { open, damage } = await damaging(NAME, cut)();
  const store = await open();
  const [one, two, three] = [storeUpload('a', 1), storeUpload('a', 2), storeUpload('a', 3)];
  for (const upload of [one, two]) await store.put('t', upload);
  await damage(two.info);
  expect(await store.put('t', three)).toMatchObject({ created: true });
  const versions = [three, two, one].map(({ info }) => info);
  expect(await store.get('t', 'a')).toEqual({ ...versions[0], versions });
});

it('reads a version without sums as it is, and writes it anew', async () => {
  const upload = storeUpload('a', 1);
  const { open, damage } = await damaging('prefix.json', remove)();
  const store = await open();
  await store.put('t', upload);
  await damage(upload.info);
  expect(await store.read('t', 'a', upload.info.version, KV)).toEqual(Buffer.from(upload.kv ?? []));
  expect(await store.isWhole('t', 'a', upload.info.version)).toBe(false);
  expect(await store.put('t', upload)).toEqual({ record: upload.info, created: false });
  expect(await store.isWhole('t', 'a', upload.info.version)).toBe(true);
});
