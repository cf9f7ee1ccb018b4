import fs from 'node:fs/promises';
import path from 'node:path';

import { LRUCache } from 'lru-cache';

import { ifExists, makeDirectoryDurably } from '../../disk/durable.js';
import type { FileStream } from '../../disk/file-stream.js';
import type { CopyableStore } from '../copy.js';
import { DirectoryKeys } from './directory-keys.js';
import { PrefixError } from '../errors.js';
import { KeyedLock } from '../../lib/keyed-lock.js';
import { firstPage, type Page } from '../../lib/page.js';
import { NameDirectories } from './name-directories.js';
import { currentVersion, isAlone, NAME_FILE, readNameFile, toDetails, withState, withVersion } from './name-file.js';
import { OfferFiles } from './offer-files.js';
import { adapterIdOfKeys, nameKey, tenantKey } from '../name.js';
import { addUsage, checkQuota, isLimited, negative, type PrefixQuota, type PrefixUsage, usageOf } from '../quota.js';
import { Scratch } from '../../disk/scratch.js';
import { mapDiskErrors } from '../../disk/store-error.js';
import { firstStandby } from '../shares.js';
import {
  findVersion,
  type ForeignPrefix,
  type ListOptions,
  type NameState,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
} from '../store.js';
import { UsageLedger } from './usage-ledger.js';
import type { FileSums } from '../version.js';
import {
  damaged,
  hadFile,
  isWholeVersion,
  readVersionFile,
  readVersionRecord,
  streamVersionFile,
  type VersionRecord,
} from './version-directory.js';

/** Name files that a listing opens at a time. */
const LIST_BATCH = 32;
/** Adapter ids whose directories are remembered, over all tenants. */
const MAX_IDS = 10_000;

const errors = mapDiskErrors('prefixes');

/**
 * Prefixes in a directory:
 *
 *     DIR/.tmp/<pid>-<random>...                what is being written or removed
 *     DIR/<16 hex of the fingerprint>/<tenant>/<folded name>~<16 hex of sha256(name)>/
 *       name.json                               the current version and all others, shares and grants
 *       <version>/                              what PEFT loads, prefix.json, and a soft prompt's kv.safetensors
 *     DIR/.offers/<16 hex of the fingerprint>/<tenant>.json   prefixes of others that were noted for the tenant
 *
 * Everything is built and synced under `.tmp`, then renamed into place: a process killed at any point leaves the old
 * state or the new one. Memory holds only usage for quotas, keys of names and directories of adapter ids. One process
 * at a time may write to the directory; any number may read it.
 */
export class DiskPrefixStore implements CopyableStore {
  /** One writer for each tenant. */
  readonly #locks = new KeyedLock();
  readonly #usage = new UsageLedger();
  readonly #keys = new DirectoryKeys();
  readonly #names: NameDirectories;
  readonly #offers: OfferFiles;
  /** Name directories by tenant's key and adapter id. An id never changes its name. */
  readonly #directories = new LRUCache<string, string>({ max: MAX_IDS });

  private constructor(
    private readonly root: string,
    offers: string,
    scratch: Scratch,
  ) {
    this.#offers = new OfferFiles(offers, scratch);
    this.#names = new NameDirectories(scratch, this.#keys);
  }

  /**
   * Opens or creates the store in `directory` for the base model with this fingerprint, and removes left-overs of
   * killed processes.
   */
  static async open(directory: string, fingerprint: string): Promise<DiskPrefixStore> {
    const root = path.join(directory, fingerprint.slice(0, 16));
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    await makeDirectoryDurably(root);
    return new DiskPrefixStore(root, path.join(directory, '.offers', fingerprint.slice(0, 16)), scratch);
  }

  async put(tenant: string, upload: PrefixUpload, quota?: PrefixQuota): Promise<PutResult> {
    const { info } = upload;
    const directory = this.#nameDirectory(tenant, info.name);
    return this.#change(tenant, async () => {
      const { names, isRebuilt } = await this.#names.readToChange(directory, info.name);
      const known = names?.versions.find(({ version }) => version === info.version);
      if (upload.standby && names === undefined) throw firstStandby();
      const growth = { ...usageOf(known ? [] : [info]), prefixes: names ? 0 : 1 };
      if (!known && quota && isLimited(quota)) checkQuota(await this.#usageOf(tenant), growth, quota);
      if (names) await this.#names.setVersion(directory, names, { ...upload, info: known ?? info });
      else await this.#names.add(directory, upload);
      if (isRebuilt) this.#usage.forget(tenantKey(tenant));
      else this.#usage.add(tenantKey(tenant), growth);
      return { record: known ?? info, created: !known };
    });
  }

  async isWhole(tenant: string, name: string, version: string): Promise<boolean> {
    return errors.reading(async () => {
      const names = await this.#names.readUndamaged(this.#nameDirectory(tenant, name));
      const isListed = names?.name === name && names.versions.some((info) => info.version === version);
      return isListed && isWholeVersion(this.#versionDirectory(tenant, name, version), version);
    });
  }

  async promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#change(tenant, async () => {
      const names = await this.#names.read(directory, name);
      const known = names?.versions.find((other) => other.version === version);
      if (names === undefined || known === undefined) return undefined;
      if (!isAlone(names, version)) await this.#names.replace(directory, withVersion(names, known));
      return known;
    });
  }

  async update(
    tenant: string,
    name: string,
    change: (details: PrefixDetails) => NameState,
  ): Promise<PrefixDetails | undefined> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#change(tenant, async () => {
      const names = await this.#names.read(directory, name);
      const info = names && currentVersion(names);
      if (names === undefined || info === undefined) return undefined;
      const changed = withState(names, change(toDetails(names, info)));
      await this.#names.replace(directory, changed);
      return toDetails(changed, currentVersion(changed) ?? info);
    });
  }

  async offers(tenant: string): Promise<readonly ForeignPrefix[]> {
    return errors.reading(() => this.#offers.read(tenantKey(tenant)));
  }

  async noteOffer(tenant: string, prefix: ForeignPrefix, isOffered: boolean): Promise<void> {
    return this.#change(tenant, () => this.#offers.note(tenantKey(tenant), prefix, isOffered));
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    return errors.reading(async () => {
      const names = await this.#find(tenant, () => this.#names.read(this.#nameDirectory(tenant, name), name));
      if (names === undefined) return undefined;
      const info = version === undefined ? currentVersion(names) : findVersion(names.versions, version);
      return info && toDetails(names, info);
    });
  }

  async nameOf(tenant: string, id: string): Promise<string | undefined> {
    return errors.reading(async () => {
      if (await this.#find(tenant, () => this.#names.read(this.#nameDirectory(tenant, id), id))) return id;
      const directory = await this.#directoryOf(tenantKey(tenant), id);
      return directory && (await readNameFile(path.join(directory, NAME_FILE)))?.name;
    });
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return this.#readFile(tenant, name, version, file, readVersionFile);
  }

  async stream(tenant: string, name: string, version: string, file: StoredFileName): Promise<FileStream | undefined> {
    return this.#readFile(tenant, name, version, file, streamVersionFile);
  }

  async readText(tenant: string, name: string, version: string): Promise<string | undefined> {
    return (await this.#readRecord(tenant, name, version))?.text;
  }

  async readSums(tenant: string, name: string, version: string): Promise<FileSums | undefined> {
    return (await this.#readRecord(tenant, name, version))?.sha256;
  }

  async list(tenant: string, { limit = Infinity, after }: ListOptions = {}): Promise<Page<PrefixInfo>> {
    const directory = this.#tenantDirectory(tenant);
    return errors.reading(async () => {
      const data: PrefixInfo[] = [];
      let cursor = after === undefined ? '' : nameKey(after);
      // One more than asked for tells whether there is another page. A name may vanish before its file is opened.
      while (data.length <= limit) {
        const batch = await this.#keys.after(directory, cursor, Math.min(LIST_BATCH, limit + 1 - data.length));
        const names = await Promise.all(batch.map((key) => this.#names.readUndamaged(path.join(directory, key))));
        data.push(...names.map((name) => name && currentVersion(name)).filter((info) => info !== undefined));
        const last = batch.at(-1);
        if (last === undefined) break;
        cursor = last;
      }
      if (data.length === 0) await this.#names.checkThere();
      return firstPage(data, limit);
    });
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#change(tenant, async () => {
      const names = await this.#names.readUndamaged(directory);
      const existed = await this.#names.remove(directory);
      if (!existed) await this.#names.checkThere();
      if (names) this.#usage.add(tenantKey(tenant), negative(usageOf(names.versions)));
      else this.#usage.forget(tenantKey(tenant));
      return existed;
    });
  }

  /** The name directory of an adapter id. Looking for an id that is not remembered costs one hash for each name. */
  async #directoryOf(tenant: string, id: string): Promise<string | undefined> {
    const known = this.#directories.get(`${tenant} ${id}`);
    if (known !== undefined) return known;
    const directory = this.#tenantDirectory(tenant);
    const key = await this.#keys.find(directory, (name) => adapterIdOfKeys(tenant, name) === id);
    if (key === undefined) return undefined;
    const found = path.join(directory, key);
    this.#directories.set(`${tenant} ${id}`, found);
    return found;
  }

  /** Runs a change of a tenant's prefixes, one at a time. */
  #change<T>(tenant: string, change: () => Promise<T>): Promise<T> {
    return errors.writing(() => this.#locks.run(tenantKey(tenant), change));
  }

  /** Runs a search, and once more between two changes where it finds damage: a change under way may look like it. */
  async #find<T>(tenant: string, search: () => Promise<T>): Promise<T> {
    try {
      return await search();
    } catch (error) {
      if (error instanceof PrefixError) return this.#locks.run(tenantKey(tenant), search);
      throw error;
    }
  }

  /** Reads a file of a version; undefined where there is rightly none. */
  async #readFile<T>(
    tenant: string,
    name: string,
    version: string,
    file: StoredFileName,
    read: (directory: string, file: StoredFileName) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const directory = this.#versionDirectory(tenant, name, version);
    return errors.reading(() =>
      this.#find(tenant, async () => {
        const found = await read(directory, file);
        if (found !== undefined) return found;
        const names = await this.#names.read(path.dirname(directory), name);
        const info = names?.versions.find((each) => each.version === version);
        if (info && (await hadFile(directory, info, file))) throw damaged(directory, file);
        return undefined;
      }),
    );
  }

  /** The record of a version; undefined when there is none. Throws `prefix_damaged`. */
  async #readRecord(tenant: string, name: string, version: string): Promise<VersionRecord | undefined> {
    return errors.reading(() => readVersionRecord(this.#versionDirectory(tenant, name, version)));
  }

  /** The tenant's usage. The caller must hold the tenant's lock. */
  #usageOf(tenant: string): Promise<PrefixUsage> {
    return this.#usage.usage(tenantKey(tenant), async () => {
      const keys = (await ifExists(fs.readdir(this.#tenantDirectory(tenant)))) ?? [];
      let used: PrefixUsage = { prefixes: 0, bytes: 0 };
      for (const key of keys) {
        const names = await this.#names.readUndamaged(path.join(this.#tenantDirectory(tenant), key));
        if (names) used = addUsage(used, usageOf(names.versions));
      }
      return used;
    });
  }

  #tenantDirectory(tenant: string): string {
    return path.join(this.root, tenantKey(tenant));
  }

  #nameDirectory(tenant: string, name: string): string {
    return path.join(this.#tenantDirectory(tenant), nameKey(name));
  }

  #versionDirectory(tenant: string, name: string, version: string): string {
    return path.join(this.#nameDirectory(tenant, name), version);
  }
}
