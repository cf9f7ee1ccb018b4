import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { exists } from '../disk/durable.js';
import { CONFIG_FILE, MODEL_FILE } from '../prefix/adapter/format.js';
import type { PrefixLibrary } from '../prefix/library.js';

export interface SeedOptions {
  /** Holds a directory for each bundled prefix, named as the prefix. */
  readonly bundled: string;
  readonly library: PrefixLibrary;
  readonly tenant: string;
  /** Exists once the prefixes were uploaded: what its user deletes later stays deleted. */
  readonly marker: string;
}

/** Uploads the prefixes that come with the demo model, once in a store's life, by the way that every upload goes. */
export async function seedPrefixes({ bundled, library, tenant, marker }: SeedOptions): Promise<void> {
  if (await exists(marker)) return;
  const { data } = await library.list(tenant);
  const taken = new Set(data.map(({ name }) => name));
  for (const name of await directoriesOf(bundled)) {
    if (taken.has(name)) continue;
    const read = (file: string): Promise<Buffer> => readFile(join(bundled, name, file));
    const [config, model] = await Promise.all([read(CONFIG_FILE), read(MODEL_FILE)]);
    await library.upload(tenant, { name, config, model });
  }
  await writeFile(marker, '');
}

async function directoriesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
