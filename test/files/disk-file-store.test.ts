import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { describeFileStore } from './file-store-contract.js';
import { file } from './fixtures.js';

describeFileStore('the store on disk', async () => {
  const directory = await temporaryDirectory();
  return () => DiskFileStore.open(directory);
});

describe('a file on disk', () => {
  const damaged = { code: 'file_damaged', param: 'file_id' };

  /** A store with a whole file, and one of which a part is damaged since the store was opened, or before. */
  async function withDamage(part: string, damage: (file: string) => void) {
    const directory = await temporaryDirectory();
    const store = await DiskFileStore.open(directory);
    const [whole, broken] = [file(3, 1), file(3, 2)];
    for (const each of [whole, broken]) await store.put('t', each, Buffer.from('abc'));
    damage(path.join(directory, '.fine-tuning/t/files', broken.id, part));
    return { directory, store, later: await DiskFileStore.open(directory), whole, broken };
  }

  it.each([
    ['missing', (content: string) => fs.rmSync(content)],
    ['cut short', (content: string) => fs.truncateSync(content, 2)],
  ])('whose content is %s is damaged, not missing, and can be deleted', async (_, damage) => {
    const { store, later, whole, broken } = await withDamage('content', damage);
    for (const each of [store, later]) {
      await expect(each.content('t', broken.id)).rejects.toMatchObject(damaged);
      await expect(each.stream('t', broken.id)).rejects.toMatchObject(damaged);
      expect(await each.content('t', whole.id)).toEqual(Buffer.from('abc'));
    }
    expect(await later.delete('t', broken.id)).toBe(true);
    expect(await later.content('t', broken.id)).toBeUndefined();
  });

  it.each([
    ['missing', (record: string) => fs.rmSync(record)],
    ['cut short', (record: string) => fs.truncateSync(record, 9)],
    ['of another file', (record: string) => fs.writeFileSync(record, '{"id":"file-1"}')],
  ])('whose record is %s hides no others, and can be deleted', async (_, damage) => {
    const { directory, later, whole, broken } = await withDamage('record.json', damage);
    expect(await later.list('t', { limit: 9 })).toEqual({ data: [whole], hasMore: false });
    await expect(later.get('t', broken.id)).rejects.toMatchObject(damaged);
    expect(await later.delete('t', broken.id)).toBe(true);
    expect(await later.get('t', broken.id)).toBeUndefined();
    expect(fs.readdirSync(path.join(directory, '.fine-tuning/t/files'))).toEqual([whole.id]);
  });
});
