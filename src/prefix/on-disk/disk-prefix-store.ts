import fs from 'node:fs/promises';
import path from 'node:path';

import { LRUCache } from 'lru-cache';

import {
  exists,
  ifExists,
  makeDirectoryDurably,
  renameDurably,
  syncDirectory,
  writeDurably,
} from '../../disk/durable.js';
import { type FileStream, streamFile } from '../../disk/file-stream.js';
import type { CopyableStore } from '../copy.js';
import { DirectoryKeys } from './directory-keys.js';
import { PrefixError } from '../errors.js';
import { CONFIG_FILE, MODEL_FILE } from '../adapter/format.js';
import { KeyedLock } from '../../lib/keyed-lock.js';
import { firstPage, type Page } from '../../lib/page.js';
import { currentVersion, encodeNameFile, type NameFile, readNameFile, withVersion } from './name-file.js';
import { adapterIdOfKeys, nameKey, tenantKey } from '../name.js';
import { addUsage, checkQuota, isLimited, negative, type PrefixQuota, type PrefixUsage, usageOf } from '../quota.js';
import { Scratch } from '../../disk/scratch.js';
import {
  findVersion,
  KV_FILE,
  type ListOptions,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
} from '../store.js';
import { UsageLedger } from './usage-ledger.js';
import { fileSums, type FileSums } from '../version.js';

const NAME_FILE = 'name.json';
const INFO_FILE = 'prefix.json';
/** Name files that a listing opens at a time. */
const LIST_BATCH = 32;
/** Adapter ids whose directories are remembered, over all tenants. */
const MAX_IDS = 10_000;

/** The fields of `INFO_FILE` beside those of `PrefixInfo`. */
interface VersionRecord {
  /** Source text of a text prefix. */
  readonly text?: string;
  readonly sha256: FileSums;
}

/**
 * Prefixes in a directory:
 *
 *     DIR/.tmp/<pid>-<random>...                what is being written or removed
 *     DIR/<16 hex of the fingerprint>/<tenant>/<folded name>~<16 hex of sha256(name)>/
 *       name.json                               the current version and all others
 *       <version>/                              what PEFT loads, prefix.json, and a soft prompt's kv.safetensors
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
  /** Name directories by tenant's key and adapter id. An id never changes its name. */
  readonly #directories = new LRUCache<string, string>({ max: MAX_IDS });

  private constructor(
    private readonly root: string,
    private readonly scratch: Scratch,
  ) {}

  /**
   * Opens or creates the store in `directory` for the base model with this fingerprint, and removes left-overs of
   * killed processes.
   */
  static async open(directory: string, fingerprint: string): Promise<DiskPrefixStore> {
    const root = path.join(directory, fingerprint.slice(0, 16));
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    await makeDirectoryDurably(root);
    return new DiskPrefixStore(root, scratch);
  }

  async put(tenant: string, upload: PrefixUpload, quota?: PrefixQuota): Promise<PutResult> {
    const directory = this.#nameDirectory(tenant, upload.info.name);
    return this.#locks.run(tenantKey(tenant), async () => {
      const names = await this.#readNames(directory, upload.info.name);
      const known = names?.versions.find(({ version }) => version === upload.info.version);
      if (names && known) return { record: await this.#makeCurrent(directory, names, known), created: false };
      const growth = { ...usageOf([upload.info]), prefixes: names ? 0 : 1 };
      if (quota && isLimited(quota)) checkQuota(await this.#usageOf(tenant), growth, quota);
      await (names ? this.#addVersion(directory, names, upload) : this.#addName(directory, upload));
      this.#usage.add(tenantKey(tenant), growth);
      return { record: upload.info, created: true };
    });
  }

  async promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#locks.run(tenantKey(tenant), async () => {
      const names = await this.#readNames(directory, name);
      const known = names?.versions.find((other) => other.version === version);
      return names && known && this.#makeCurrent(directory, names, known);
    });
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    const names = await this.#readNames(this.#nameDirectory(tenant, name), name);
    if (names === undefined) return undefined;
    const info = version === undefined ? currentVersion(names) : findVersion(names.versions, version);
    return info && { ...info, versions: names.versions };
  }

  async nameOf(tenant: string, id: string): Promise<string | undefined> {
    if (await this.#readNames(this.#nameDirectory(tenant, id), id)) return id;
    const directory = await this.#directoryOf(tenantKey(tenant), id);
    return directory && (await readNameFile(path.join(directory, NAME_FILE)))?.name;
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return ifExists(fs.readFile(path.join(this.#nameDirectory(tenant, name), version, file)));
  }

  async stream(tenant: string, name: string, version: string, file: StoredFileName): Promise<FileStream | undefined> {
    return streamFile(path.join(this.#nameDirectory(tenant, name), version, file));
  }

  async readText(tenant: string, name: string, version: string): Promise<string | undefined> {
    return (await this.#readRecord(tenant, name, version))?.text;
  }

  async readSums(tenant: string, name: string, version: string): Promise<FileSums | undefined> {
    return (await this.#readRecord(tenant, name, version))?.sha256;
  }

  async list(tenant: string, { limit = Infinity, after }: ListOptions = {}): Promise<Page<PrefixInfo>> {
    const directory = this.#tenantDirectory(tenant);
    const data: PrefixInfo[] = [];
    let cursor = after === undefined ? '' : nameKey(after);
    // One more than asked for tells whether there is another page. A name may vanish before its file is opened.
    while (data.length <= limit) {
      const batch = await this.#keys.after(directory, cursor, Math.min(LIST_BATCH, limit + 1 - data.length));
      const names = await Promise.all(batch.map((key) => this.#readUndamaged(path.join(directory, key))));
      data.push(...names.map((name) => name && currentVersion(name)).filter((info) => info !== undefined));
      const last = batch.at(-1);
      if (last === undefined) break;
      cursor = last;
    }
    return firstPage(data, limit);
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#locks.run(tenantKey(tenant), async () => {
      const names = await this.#readUndamaged(directory);
      const existed = await this.#changeName(directory, false, () => this.scratch.discard(directory));
      if (existed) await syncDirectory(path.dirname(directory));
      if (names) this.#usage.add(tenantKey(tenant), negative(usageOf(names.versions)));
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

  /** Adds a name: its directory appears with its first version, by one rename. */
  async #addName(directory: string, upload: PrefixUpload): Promise<void> {
    await makeDirectoryDurably(path.dirname(directory));
    await this.scratch.withDirectory(async (draft) => {
      await fs.mkdir(path.join(draft, upload.info.version));
      await writeVersion(path.join(draft, upload.info.version), upload);
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(withVersion(undefined, upload.info)));
      await syncDirectory(draft);
      await this.#changeName(directory, true, () => renameDurably(draft, directory));
    });
  }

  /**
   * Adds a version to a name. The version's directory comes first: nobody looks for it until the name file lists it.
   */
  async #addVersion(directory: string, names: NameFile, upload: PrefixUpload): Promise<void> {
    await this.#addVersionDirectory(path.join(directory, upload.info.version), upload);
    await this.#replaceNames(directory, withVersion(names, upload.info));
  }

  #changeName<T>(directory: string, isThere: boolean, change: () => Promise<T>): Promise<T> {
    return this.#keys.change(path.dirname(directory), path.basename(directory), isThere, change);
  }

  async #makeCurrent(directory: string, names: NameFile, known: PrefixInfo): Promise<PrefixInfo> {
    if (names.current !== known.version) await this.#replaceNames(directory, withVersion(names, known));
    return known;
  }

  async #addVersionDirectory(target: string, upload: PrefixUpload): Promise<void> {
    // There already when a process was killed before it replaced the name file: whole, and of the same content.
    if (await exists(target)) return;
    await this.scratch.withDirectory(async (draft) => {
      await writeVersion(draft, upload);
      await renameDurably(draft, target);
    });
  }

  async #replaceNames(directory: string, names: NameFile): Promise<void> {
    await this.scratch.withDirectory(async (draft) => {
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(names));
      await renameDurably(path.join(draft, NAME_FILE), path.join(directory, NAME_FILE));
    });
  }

  /** The name file of `name`; undefined when there is none, or when the directory belongs to another name. */
  async #readNames(directory: string, name: string): Promise<NameFile | undefined> {
    const names = await readNameFile(path.join(directory, NAME_FILE));
    return names?.name === name ? names : undefined;
  }

  /** The record of a version; undefined when there is none. Throws `prefix_damaged`. */
  async #readRecord(tenant: string, name: string, version: string): Promise<VersionRecord | undefined> {
    const file = path.join(this.#nameDirectory(tenant, name), version, INFO_FILE);
    const text = await ifExists(fs.readFile(file, 'utf8'));
    try {
      return text === undefined ? undefined : (JSON.parse(text) as VersionRecord);
    } catch {
      throw new PrefixError('prefix_damaged', 'name: the stored record of this version is damaged');
    }
  }

  /** The tenant's usage. The caller must hold the tenant's lock. */
  #usageOf(tenant: string): Promise<PrefixUsage> {
    return this.#usage.usage(tenantKey(tenant), async () => {
      const keys = (await ifExists(fs.readdir(this.#tenantDirectory(tenant)))) ?? [];
      let used: PrefixUsage = { prefixes: 0, bytes: 0 };
      for (const key of keys) {
        const names = await this.#readUndamaged(path.join(this.#tenantDirectory(tenant), key));
        if (names) used = addUsage(used, usageOf(names.versions));
      }
      return used;
    });
  }

  /**
   * The name file of a directory; undefined when it vanished or is damaged, so that a damaged name does not hide the
   * others.
   */
  async #readUndamaged(directory: string): Promise<NameFile | undefined> {
    try {
      return await readNameFile(path.join(directory, NAME_FILE));
    } catch (error) {
      if (error instanceof PrefixError) return undefined;
      throw error;
    }
  }

  #tenantDirectory(tenant: string): string {
    return path.join(this.root, tenantKey(tenant));
  }

  #nameDirectory(tenant: string, name: string): string {
    return path.join(this.#tenantDirectory(tenant), nameKey(name));
  }
}

async function writeVersion(directory: string, upload: PrefixUpload): Promise<void> {
  const { info, files, kv, text } = upload;
  await writeDurably(path.join(directory, CONFIG_FILE), files.config);
  await writeDurably(path.join(directory, MODEL_FILE), files.model);
  if (kv !== undefined) await writeDurably(path.join(directory, KV_FILE), kv);
  const record = { ...info, text, sha256: fileSums(upload) };
  await writeDurably(path.join(directory, INFO_FILE), JSON.stringify(record, undefined, 2));
  await syncDirectory(directory);
}
