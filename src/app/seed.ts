import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { bundledModel, defaultStoreDirectory } from '../config/paths.js';
import { needsKey } from '../config/rules.js';
import type { Config } from '../config/variables.js';
import { exists } from '../disk/durable.js';
import { StoreError } from '../lib/store-error.js';
import { loggedError } from '../logging/logged-error.js';
import { CONFIG_FILE, MODEL_FILE } from '../prefix/adapter/format.js';
import { PrefixError } from '../prefix/errors.js';
import type { PrefixLibrary } from '../prefix/library.js';
import { tenantKey } from '../prefix/name.js';
import { DEFAULT_TENANT } from '../tenancy/tenancy.js';
import { systemError } from '../lib/system-error.js';

/** A record, in the store, of the tenants that were given the bundled prefixes, so that a prefix that a tenant deletes stays deleted. */
export interface SeedMarker {
  has(tenant: string): Promise<boolean>;
  add(tenant: string): Promise<void>;
}

/** A seed marker on disk: an empty file for each tenant, beside the prefixes of one base model. */
export class DiskSeedMarker implements SeedMarker {
  readonly #path: string;

  constructor(directory: string, fingerprint: string) {
    this.#path = join(directory, `.bundled-${fingerprint.slice(0, 16)}`);
  }

  has(tenant: string): Promise<boolean> {
    return exists(this.#fileOf(tenant));
  }

  async add(tenant: string): Promise<void> {
    await writeFile(this.#fileOf(tenant), '');
  }

  #fileOf(tenant: string): string {
    return tenant === DEFAULT_TENANT ? this.#path : `${this.#path}-${tenantKey(tenant)}`;
  }
}

/**
 * Tenants that get the bundled prefixes; none for another model than the bundled one, which alone they fit. With `on`, all tenants of the
 * settings: those of PREAMBLE_API_KEYS, or `default` where no keys are needed. With `auto`, only `default`, and only in the default
 * directory: a store that somebody names holds what they put there.
 */
export function seededTenants(
  config: Pick<Config, 'model' | 'store' | 'seedPrefixes' | 'apiKeys' | 'adminKey'>,
): string[] {
  const { model, store, seedPrefixes, apiKeys } = config;
  if (model !== bundledModel || seedPrefixes === 'off') return [];
  const known = needsKey(config) ? [...new Set(apiKeys.map(({ tenant }) => tenant))] : [DEFAULT_TENANT];
  if (seedPrefixes === 'on') return known;
  const isDefaultStore = store.kind === 'file' && store.directory === defaultStoreDirectory;
  return isDefaultStore ? known.filter((tenant) => tenant === DEFAULT_TENANT) : [];
}

export interface SeedOptions {
  /** Holds a directory for each bundled prefix, named as the prefix. */
  readonly bundled: string;
  readonly library: PrefixLibrary;
  readonly marker: SeedMarker;
}

/** Uploads the bundled prefixes for a tenant, once in a store's life. Leaves names alone that the tenant has already. */
export async function seedPrefixes(tenant: string, { bundled, library, marker }: SeedOptions): Promise<void> {
  if (await marker.has(tenant)) return;
  const { data } = await library.list(tenant);
  const taken = new Set(data.map(({ name }) => name));
  for (const name of await directoriesOf(bundled)) {
    if (taken.has(name)) continue;
    const read = (file: string): Promise<Buffer> => readFile(join(bundled, name, file));
    const [config, model] = await Promise.all([read(CONFIG_FILE), read(MODEL_FILE)]);
    await library.upload(tenant, { name, config, model });
  }
  await marker.add(tenant);
}

/** A log that warnings go to. */
interface Log {
  warn(fields: object, message: string): void;
}

/**
 * Seeds several tenants. What the store, its disk or the limits of prefixes refuse does not keep a server from starting: it is logged,
 * and tried again at a later start.
 */
export async function seedWherePossible(tenants: readonly string[], options: SeedOptions, log: Log): Promise<void> {
  try {
    for (const tenant of tenants) await seedPrefixes(tenant, options);
  } catch (error) {
    const isRefusal = error instanceof StoreError || error instanceof PrefixError || systemError(error) !== undefined;
    if (!isRefusal) throw error;
    log.warn(loggedError(error), 'bundled prefixes are left out until a later start');
  }
}

async function directoriesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
