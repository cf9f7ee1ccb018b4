import fs from 'node:fs';
import path from 'node:path';

import { nameKey } from '../../src/prefix/name.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { base } from './fixtures.js';
import { crashUpload, operationOf, repairOf } from './crash-plan.js';

/**
 * Uploads and deletes until it is killed: `node crash-child.mjs DIRECTORY FIRST [repair]`, operations FIRST, FIRST + 1, ... With `repair`,
 * an operation cuts a stored file short and uploads its prefix again.
 * Says `N` before it starts operation N and `N done` once the store has acknowledged it.
 */
const [directory = '', first = '0', mode] = process.argv.slice(2);
const store = await DiskPrefixStore.open(directory, base.fingerprint);
for (let number = Number(first); ; number++) {
  fs.writeSync(1, `${number}\n`);
  const { kind, name } = operationOf(number);
  if (mode === 'repair') await repair(number);
  else if (kind === 'put') await store.put('t', crashUpload(name, number));
  else await store.delete('t', name);
  fs.writeSync(1, `${number} done\n`);
}

async function repair(number: number): Promise<void> {
  const upload = repairOf(number);
  const { name, version } = upload.info;
  const directoryOf = path.join(directory, base.fingerprint.slice(0, 16), 't', nameKey(name), version);
  fs.truncateSync(path.join(directoryOf, 'kv.safetensors'), number);
  await store.put('t', upload);
}
