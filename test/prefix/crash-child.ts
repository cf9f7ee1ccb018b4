import fs from 'node:fs';

import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { base } from './fixtures.js';
import { crashUpload, operationOf } from './crash-plan.js';

/**
 * Uploads and deletes until it is killed: `node crash-child.mjs DIRECTORY FIRST`, operations FIRST, FIRST + 1, ...
 * Says `N` before it starts operation N and `N done` once the store has acknowledged it.
 */
const [directory = '', first = '0'] = process.argv.slice(2);
const store = await DiskPrefixStore.open(directory, base.fingerprint);
for (let number = Number(first); ; number++) {
  fs.writeSync(1, `${number}\n`);
  const { kind, name } = operationOf(number);
  if (kind === 'put') await store.put('t', crashUpload(name, number));
  else await store.delete('t', name);
  fs.writeSync(1, `${number} done\n`);
}
