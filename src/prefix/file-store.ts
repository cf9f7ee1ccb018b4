import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, makeDirectoryDurably, renameDurably, syncDirectory, writeDurably } from './durable.js';
import { PrefixError } from './errors.js';
import { CONFIG_FILE, MODEL_FILE } from './format.js';
import { KeyedLock } from './keyed-lock.js';
import { currentVersion, encodeNameFile, type NameFile, readNameFile, withVersion } from './name-file.js';
import { nameKey, tenantKey } from './name.js';
import { Scratch } from './scratch.js';
import {
  findVersion,
  KV_FILE,
  type ListOptions,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixPage,
  type PrefixStore,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
} from './store.js';

const NAME_FILE = 'name.json';
const INFO_FILE = 'prefix.json';
/** Name files that a listing opens at the same time. */
const LIST_BATCH = 32;

/**
 * Prefixes in a directory:
 *
 *     DIR/.tmp/<pid>-<random>...                what is being written or removed
 *     DIR/<16 hex of the fingerprint>/<tenant>/<folded name>~<16 hex of sha256(name)>/
 *       name.json                               the current version and all others
 *       <version>/                              what PEFT loads, prefix.json, and a soft prompt's kv.safetensors
 *
 * Everything is built and synced under `.tmp` and renamed into place, so that a process killed at any point leaves the
 * old state or the new one. Nothing is kept in memory. One process may write a directory at a time; any may read it.
 */
export class FilePrefixStore implements PrefixStore {
  readonly #locks = new KeyedLock();

  private constructor(
    private readonly root: string,
    private readonly scratch: Scratch,
  ) {}

  /** Opens or creates the store in `directory`, for the base model of that fingerprint, and sweeps left-overs. */
  static async open(directory: string, fingerprint: string): Promise<FilePrefixStore> {
    const root = path.join(directory, fingerprint.slice(0, 16));
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    await makeDirectoryDurably(root);
    return new FilePrefixStore(root, scratch);
  }

  async put(tenant: string, upload: PrefixUpload): Promise<PutResult> {
    const directory = this.#nameDirectory(tenant, upload.info.name);
    return this.#locks.run(directory, async () => {
      const names = await this.#readNames(directory, upload.info.name);
      if (names === undefined) return this.#addName(directory, upload);
      return this.#addVersion(directory, names, upload);
    });
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    const names = await this.#readNames(this.#nameDirectory(tenant, name), name);
    if (names === undefined) return undefined;
    const info = version === undefined ? currentVersion(names) : findVersion(names.versions, version);
    return info && { ...info, versions: names.versions };
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return ifExists(fs.readFile(path.join(this.#nameDirectory(tenant, name), version, file)));
  }

  async list(tenant: string, { limit = Infinity, after }: ListOptions = {}): Promise<PrefixPage> {
    const keys = ((await ifExists(fs.readdir(this.#tenantDirectory(tenant)))) ?? []).sort();
    const cursor = after === undefined ? '' : nameKey(after);
    const data: PrefixInfo[] = [];
    // One more than asked for tells whether there is another page. A name may vanish before its file is opened.
    for (let at = firstAfter(keys, cursor); at < keys.length && data.length <= limit;) {
      const batch = keys.slice(at, at + Math.min(LIST_BATCH, limit + 1 - data.length));
      const infos = await Promise.all(
        batch.map((key) => this.#readCurrent(path.join(this.#tenantDirectory(tenant), key))),
      );
      data.push(...infos.filter((info) => info !== undefined));
      at += batch.length;
    }
    return { data: data.slice(0, limit), hasMore: data.length > limit };
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    const directory = this.#nameDirectory(tenant, name);
    return this.#locks.run(directory, async () => {
      const existed = await this.scratch.discard(directory);
      if (existed) await syncDirectory(path.dirname(directory));
      return existed;
    });
  }

  /** A new name appears with its first version in one rename. */
  async #addName(directory: string, upload: PrefixUpload): Promise<PutResult> {
    await makeDirectoryDurably(path.dirname(directory));
    await this.scratch.withDirectory(async (draft) => {
      await fs.mkdir(path.join(draft, upload.info.version));
      await writeVersion(path.join(draft, upload.info.version), upload);
      await writeDurably(path.join(draft, NAME_FILE), encodeNameFile(withVersion(undefined, upload.info)));
      await syncDirectory(draft);
      await renameDurably(draft, directory);
    });
    return { record: upload.info, created: true };
  }

  /** The version's directory comes first: until the name file tells of it, nobody looks. */
  async #addVersion(directory: string, names: NameFile, upload: PrefixUpload): Promise<PutResult> {
    const known = names.versions.find(({ version }) => version === upload.info.version);
    if (known === undefined) await this.#addVersionDirectory(path.join(directory, upload.info.version), upload);
    if (known === undefined || names.current !== known.version) {
      await this.#replaceNames(directory, withVersion(names, upload.info));
    }
    return { record: known ?? upload.info, created: known === undefined };
  }

  async #addVersionDirectory(target: string, upload: PrefixUpload): Promise<void> {
    // There already when a process was killed before it replaced the name file: whole, and of the same content.
    if ((await ifExists(fs.stat(target))) !== undefined) return;
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

  /** Undefined when there is no such name, and when the directory is another name's. */
  async #readNames(directory: string, name: string): Promise<NameFile | undefined> {
    const names = await readNameFile(path.join(directory, NAME_FILE));
    return names?.name === name ? names : undefined;
  }

  /** Undefined for what vanished, and for a damaged name: it must not hide the others. */
  async #readCurrent(directory: string): Promise<PrefixInfo | undefined> {
    try {
      const names = await readNameFile(path.join(directory, NAME_FILE));
      return names && currentVersion(names);
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

async function writeVersion(directory: string, { info, files, kv, text }: PrefixUpload): Promise<void> {
  await writeDurably(path.join(directory, CONFIG_FILE), files.config);
  await writeDurably(path.join(directory, MODEL_FILE), files.model);
  if (kv !== undefined) await writeDurably(path.join(directory, KV_FILE), kv);
  await writeDurably(path.join(directory, INFO_FILE), JSON.stringify({ ...info, text }, undefined, 2));
  await syncDirectory(directory);
}

/** Index of the first key behind `cursor`, in order. */
function firstAfter(keys: readonly string[], cursor: string): number {
  const index = keys.findIndex((key) => key > cursor);
  return index < 0 ? keys.length : index;
}
