import fs from 'node:fs';
import path from 'node:path';

import type { BaseModel } from '#src/prefix/kv.js';
import { nameKey, tenantKey } from '#src/prefix/name.js';
import { DiskPrefixStore } from '#src/prefix/on-disk/disk-prefix-store.js';
import { RedisConnection } from '#src/redis/connection.js';
import { RedisPrefixStore } from '#src/redis/prefixes/redis-prefix-store.js';
import { DEFAULT_TENANT } from '#src/tenancy/tenancy.js';
import { storedPrefix } from '../../inputs/stored-prefix.js';

/** Uploads at the same time. */
const PARALLEL = 32;

/**
 * Fills a file store with prefixes of one virtual token. The store itself writes the first; the others are copies of its directory
 * with their own names, byte for byte as the store writes them, without the six waits for the disk that each write costs.
 */
export async function fillDirectory(directory: string, base: BaseModel, names: readonly string[]): Promise<void> {
  const [first = '', ...others] = names;
  const store = await DiskPrefixStore.open(directory, base.fingerprint);
  await store.put(DEFAULT_TENANT, storedPrefix(first, 1, base));
  const tenant = path.join(directory, base.fingerprint.slice(0, 16), tenantKey(DEFAULT_TENANT));
  const original = path.join(tenant, nameKey(first));
  const entries = fs.readdirSync(original, { recursive: true, withFileTypes: true }).map((entry) => {
    const at = path.relative(original, path.join(entry.parentPath, entry.name));
    return { at, content: entry.isFile() ? fs.readFileSync(path.join(original, at)) : undefined };
  });
  for (const name of others) {
    const copy = path.join(tenant, nameKey(name));
    fs.mkdirSync(copy);
    for (const { at, content } of entries) {
      if (content === undefined) fs.mkdirSync(path.join(copy, at));
      else fs.writeFileSync(path.join(copy, at), at.endsWith('.json') ? renamed(content, first, name) : content);
    }
  }
}

function renamed(json: Buffer, from: string, to: string): string {
  return json.toString().replaceAll(JSON.stringify(from), JSON.stringify(to));
}

/** Fills a store on Redis with prefixes of one virtual token, as uploads do. */
export async function fillRedis(url: string, base: BaseModel, names: readonly string[]): Promise<void> {
  const connection = await RedisConnection.open({ url });
  try {
    const store = new RedisPrefixStore(connection, base.fingerprint);
    const upload = storedPrefix(names[0] ?? '', 1, base);
    const rest = names.values();
    const work = async (): Promise<void> => {
      for (const name of rest) await store.put(DEFAULT_TENANT, { ...upload, info: { ...upload.info, name } });
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } finally {
    connection.close();
  }
}
