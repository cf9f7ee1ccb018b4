import fs from 'node:fs/promises';
import path from 'node:path';

import type { CopyableStore, Partition, PrefixArchive } from '../copy.js';
import { DiskPrefixStore } from './disk-prefix-store.js';

const FINGERPRINT = /^[0-9a-f]{16}$/;

/** All prefixes in a directory, of all tenants and base models; for the layout see `DiskPrefixStore`. */
export class DiskPrefixArchive implements PrefixArchive {
  constructor(private readonly directory: string) {}

  /** Throws when the directory does not exist. */
  async partitions(): Promise<Partition[]> {
    const partitions: Partition[] = [];
    for (const fingerprint of await this.#directories('')) {
      if (!FINGERPRINT.test(fingerprint)) continue;
      for (const tenant of await this.#directories(fingerprint)) partitions.push({ fingerprint, tenant });
    }
    return partitions;
  }

  async open(fingerprint: string): Promise<CopyableStore> {
    return DiskPrefixStore.open(this.directory, fingerprint);
  }

  async #directories(below: string): Promise<string[]> {
    const entries = await fs.readdir(path.join(this.directory, below), { withFileTypes: true });
    const visible = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
    return visible.map(({ name }) => name).sort();
  }
}
