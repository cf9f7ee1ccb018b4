import fs from 'node:fs/promises';
import path from 'node:path';

import {
  type FileContent,
  ifExists,
  makeDirectoryDurably,
  renameDurably,
  syncDirectory,
  writeDurably,
} from '../disk/durable.js';
import { Scratch } from '../disk/scratch.js';
import { type DiskErrors, mapDiskErrors } from '../disk/store-error.js';
import { KeyedLock } from '../lib/keyed-lock.js';
import { StoreError, type StoreName } from '../lib/store-error.js';
import { tenantKey } from '../prefix/name.js';

const RECORD_FILE = 'record.json';

interface Record {
  readonly id: string;
  /** Unix milliseconds. */
  readonly created: number;
}

export interface DiskRecordsOptions {
  /** Folder of the records' kind. */
  readonly kind: string;
  /** The store that a failure of the disk is reported for. */
  readonly store: StoreName;
  /** Makes the error for something of a record that cannot be read as it was written. */
  readonly damaged: (id: string) => Error;
}

/**
 * Records of one kind in a store's directory, each in a directory of its own with what belongs to it:
 *
 *     DIR/.fine-tuning/<tenant>/<kind>/<id>/record.json
 *
 * It appears and vanishes by one rename, and a record is replaced by one. A tenant's records stay in memory from their first
 * use. A damaged one is in no list, and can be removed. One process may use a directory at a time.
 */
export class DiskRecords<T extends Record> {
  /** One change of a tenant's records at a time. */
  readonly #locks = new KeyedLock();
  /** Each tenant's records by id; undefined for a damaged one. */
  readonly #records = new Map<string, Promise<Map<string, T | undefined>>>();
  readonly #errors: DiskErrors;

  private constructor(
    private readonly root: string,
    private readonly scratch: Scratch,
    private readonly options: DiskRecordsOptions,
  ) {
    this.#errors = mapDiskErrors(options.store);
  }

  static async open<T extends Record>(directory: string, options: DiskRecordsOptions): Promise<DiskRecords<T>> {
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    return new DiskRecords(path.join(directory, '.fine-tuning'), scratch, options);
  }

  /** Keys of the tenants that have records; no key begins with a dot. */
  async tenants(): Promise<string[]> {
    const entries = await this.#errors.reading(() => ifExists(fs.readdir(this.root)));
    return (entries ?? []).filter((entry) => !entry.startsWith('.'));
  }

  /** Directory of the record and of the files that belong to it. */
  directory(tenant: string, id: string): string {
    return path.join(this.root, tenantKey(tenant), this.options.kind, id);
  }

  /** Throws what `damaged` makes for a damaged record. */
  async get(tenant: string, id: string): Promise<T | undefined> {
    const records = await this.#of(tenant);
    if (!records.has(id)) return undefined;
    const record = records.get(id);
    if (record === undefined) throw this.options.damaged(id);
    return record;
  }

  /** All that are not damaged, newest first. */
  async all(tenant: string): Promise<T[]> {
    const records = [...(await this.#of(tenant)).values()].filter((record) => record !== undefined);
    return records.sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
  }

  /** Runs `change` while no other change of the tenant's records runs. Throws failures of the disk as `StoreError`. */
  exclusively<R>(tenant: string, change: () => Promise<R>): Promise<R> {
    return this.#errors.writing(() => this.#locks.run(tenantKey(tenant), change));
  }

  /**
   * Reads something that belongs to a record; undefined where there is no such record. Throws failures of the disk as `StoreError`, and
   * what `damaged` makes where `read` finds nothing.
   */
  async readPart<R>(tenant: string, id: string, read: (record: T) => Promise<R | undefined>): Promise<R | undefined> {
    const record = await this.get(tenant, id);
    if (record === undefined) return undefined;
    const found = await this.#errors.reading(() => read(record));
    if (found !== undefined || (await this.get(tenant, id)) === undefined) return found;
    throw (await this.scratch.isGone()) ? new StoreError(this.options.store, 'unavailable') : this.options.damaged(id);
  }

  /**
   * Adds a record, with the files that belong to it.
   * @param makeRecord called once the files are written
   */
  async add(tenant: string, makeRecord: () => T, files: { readonly [name: string]: FileContent } = {}): Promise<void> {
    const record = await this.scratch.withDirectory(async (draft) => {
      for (const [name, content] of Object.entries(files)) await writeDurably(path.join(draft, name), content);
      const made = makeRecord();
      const target = this.directory(tenant, made.id);
      await writeDurably(path.join(draft, RECORD_FILE), encode(made));
      await syncDirectory(draft);
      await makeDirectoryDurably(path.dirname(target));
      await renameDurably(draft, target);
      return made;
    });
    (await this.#of(tenant)).set(record.id, record);
  }

  async replace(tenant: string, record: T): Promise<void> {
    await this.scratch.withDirectory(async (draft) => {
      await writeDurably(path.join(draft, RECORD_FILE), encode(record));
      await renameDurably(path.join(draft, RECORD_FILE), path.join(this.directory(tenant, record.id), RECORD_FILE));
    });
    (await this.#of(tenant)).set(record.id, record);
  }

  /** False when there is none. */
  async remove(tenant: string, id: string): Promise<boolean> {
    const records = await this.#of(tenant);
    if (!records.has(id)) return false;
    const target = this.directory(tenant, id);
    await this.scratch.discard(target);
    await syncDirectory(path.dirname(target));
    return records.delete(id);
  }

  #of(tenant: string): Promise<Map<string, T | undefined>> {
    const key = tenantKey(tenant);
    let records = this.#records.get(key);
    if (records === undefined) {
      records = this.#errors.reading(() => this.#read(path.join(this.root, key, this.options.kind)));
      this.#records.set(key, records);
      records.catch(() => this.#records.delete(key)); // the caller gets the error; the next one reads again
    }
    return records;
  }

  async #read(directory: string): Promise<Map<string, T | undefined>> {
    const ids = await ifExists(fs.readdir(directory));
    if (ids === undefined && (await this.scratch.isGone())) throw new StoreError(this.options.store, 'unavailable');
    const read = async (id: string) => [id, await readRecord<T>(path.join(directory, id, RECORD_FILE), id)] as const;
    return new Map(await Promise.all((ids ?? []).map(read)));
  }
}

/** The record of an id; undefined when it is damaged or missing. */
async function readRecord<T extends Record>(file: string, id: string): Promise<T | undefined> {
  const text = await ifExists(fs.readFile(file, 'utf8'));
  try {
    const record = JSON.parse(text ?? '') as T | null;
    return record?.id === id ? record : undefined;
  } catch {
    return undefined;
  }
}

function encode(record: unknown): string {
  return JSON.stringify(record, undefined, 2);
}
