import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, makeDirectoryDurably, renameDurably, syncDirectory, writeDurably } from '../disk/durable.js';
import { KeyedLock } from '../lib/keyed-lock.js';
import { tenantKey } from '../prefix/name.js';
import { Scratch } from '../disk/scratch.js';

const RECORD_FILE = 'record.json';

interface Record {
  readonly id: string;
  /** Unix milliseconds. */
  readonly created: number;
}

/**
 * Records of one kind in a store's directory, each in a directory of its own with what belongs to it:
 *
 *     DIR/.fine-tuning/<tenant>/<kind>/<id>/record.json
 *
 * It appears and vanishes by one rename, and a record is replaced by one. A tenant's records stay in memory from their first
 * use. One process may use a directory at a time.
 */
export class DiskRecords<T extends Record> {
  /** One change of a tenant's records at a time. */
  readonly #locks = new KeyedLock();
  readonly #records = new Map<string, Promise<Map<string, T>>>();

  private constructor(
    private readonly root: string,
    private readonly kind: string,
    private readonly scratch: Scratch,
  ) {}

  static async open<T extends Record>(directory: string, kind: string): Promise<DiskRecords<T>> {
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    return new DiskRecords(path.join(directory, '.fine-tuning'), kind, scratch);
  }

  /** Keys of the tenants that have records; no key begins with a dot. */
  async tenants(): Promise<string[]> {
    const entries = (await ifExists(fs.readdir(this.root))) ?? [];
    return entries.filter((entry) => !entry.startsWith('.'));
  }

  /** Directory of the record and of the files that belong to it. */
  directory(tenant: string, id: string): string {
    return path.join(this.root, tenantKey(tenant), this.kind, id);
  }

  async get(tenant: string, id: string): Promise<T | undefined> {
    return (await this.#of(tenant)).get(id);
  }

  /** Newest first. */
  async all(tenant: string): Promise<T[]> {
    const records = [...(await this.#of(tenant)).values()];
    return records.sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
  }

  /** Runs `change` while no other change of the tenant's records runs. */
  exclusively<R>(tenant: string, change: () => Promise<R>): Promise<R> {
    return this.#locks.run(tenantKey(tenant), change);
  }

  /** Adds a record, with the files that belong to it. */
  async add(tenant: string, record: T, files: { readonly [name: string]: Uint8Array } = {}): Promise<void> {
    const target = this.directory(tenant, record.id);
    await makeDirectoryDurably(path.dirname(target));
    await this.scratch.withDirectory(async (draft) => {
      for (const [name, content] of Object.entries(files)) await writeDurably(path.join(draft, name), content);
      await writeDurably(path.join(draft, RECORD_FILE), encode(record));
      await syncDirectory(draft);
      await renameDurably(draft, target);
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

  #of(tenant: string): Promise<Map<string, T>> {
    const key = tenantKey(tenant);
    let records = this.#records.get(key);
    if (records === undefined) {
      records = this.#read(path.join(this.root, key, this.kind));
      this.#records.set(key, records);
      records.catch(() => this.#records.delete(key)); // the caller gets the error; the next one reads again
    }
    return records;
  }

  async #read(directory: string): Promise<Map<string, T>> {
    const ids = (await ifExists(fs.readdir(directory))) ?? [];
    const records = await Promise.all(
      ids.map(async (id) => JSON.parse(await fs.readFile(path.join(directory, id, RECORD_FILE), 'utf8')) as T),
    );
    return new Map(records.map((record) => [record.id, record]));
  }
}

function encode(record: unknown): string {
  return JSON.stringify(record, undefined, 2);
}
