import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, makeDirectoryDurably, renameDurably, writeDurably } from '../disk/durable.js';
import { Scratch } from '../disk/scratch.js';
import { mapDiskErrors } from '../disk/store-error.js';
import { type Page, pageByKey, type PageOptions } from '../lib/page.js';
import { changeLimits, type LimitChanges } from './limits.js';
import type { KeyPageOptions, KeyRecord, TenancyChange, TenancyStore, TenantRecord } from './store.js';

const DIRECTORY = '.tenancy';
const FILE = 'tenancy.json';
/** The hashes are no keys, yet they are nobody else's business. */
const OWNER_ONLY = 0o600;

const errors = { tenants: mapDiskErrors('tenants'), keys: mapDiskErrors('keys') };
/** The store that a failure is reported for. */
type Part = keyof typeof errors;

interface State {
  readonly tenants: ReadonlyMap<string, TenantRecord>;
  readonly keys: ReadonlyMap<string, KeyRecord>;
}

/** The state after a change; the same state where nothing is changed. */
interface Change<T> {
  readonly state: State;
  readonly result: T;
  /** Ids of keys that the change removes. */
  readonly revoked?: readonly string[];
}

/** Content of the file. */
interface Contents {
  readonly tenants: readonly TenantRecord[];
  readonly keys: readonly KeyRecord[];
}

/**
 * Tenants and keys in one file, `DIR/.tenancy/tenancy.json`, which is read once and replaced as a whole by each change: a process
 * killed at any moment leaves the old state or the new one. One process may use a directory at a time.
 */
export class DiskTenancyStore implements TenancyStore {
  #state: State;
  #lastChange: Promise<unknown> = Promise.resolve();
  readonly #listeners: ((change: TenancyChange) => void)[] = [];

  private constructor(
    private readonly directory: string,
    private readonly scratch: Scratch,
    { tenants, keys }: Contents,
  ) {
    this.#state = {
      tenants: new Map(tenants.map((record) => [record.tenant, record])),
      keys: new Map(keys.map((key) => [key.id, key])),
    };
  }

  /**
   * Opens the tenants and keys of a store's directory; there may be none yet.
   * @throws Error when the file cannot be read: to go on without it would be to forget every key
   */
  static async open(directory: string): Promise<DiskTenancyStore> {
    const own = path.join(directory, DIRECTORY);
    const scratch = await Scratch.open(path.join(directory, '.tmp'));
    return new DiskTenancyStore(own, scratch, await readContents(path.join(own, FILE)));
  }

  async getTenant(tenant: string): Promise<TenantRecord | undefined> {
    return this.#state.tenants.get(tenant);
  }

  async setTenant(tenant: string, changes: LimitChanges, now: number): Promise<TenantRecord> {
    return this.#change('tenants', (state) => {
      const { created, limits } = state.tenants.get(tenant) ?? newTenant(tenant, now);
      const record = { tenant, created, limits: changeLimits(limits, changes) };
      return { state: withTenant(state, record), result: record };
    });
  }

  async deleteTenant(tenant: string): Promise<boolean> {
    return this.#change('tenants', (state) => {
      if (!state.tenants.has(tenant)) return { state, result: false };
      const revoked = [...state.keys.values()].filter((key) => key.tenant === tenant).map(({ id }) => id);
      return {
        state: { tenants: without(state.tenants, [tenant]), keys: without(state.keys, revoked) },
        revoked,
        result: true,
      };
    });
  }

  async listTenants(options: PageOptions): Promise<Page<TenantRecord>> {
    return pageByKey([...this.#state.tenants.values()], ({ tenant }) => tenant, options);
  }

  async getKey(id: string): Promise<KeyRecord | undefined> {
    return this.#state.keys.get(id);
  }

  async addKey(key: KeyRecord): Promise<void> {
    await this.#change('keys', (state) => {
      const record = state.tenants.get(key.tenant) ?? newTenant(key.tenant, key.created);
      const { tenants, keys } = withTenant(state, record);
      return { state: { tenants, keys: new Map(keys).set(key.id, key) }, result: undefined };
    });
  }

  async revokeKey(id: string): Promise<boolean> {
    return this.#change('keys', (state) => {
      if (!state.keys.has(id)) return { state, result: false };
      return { state: { ...state, keys: without(state.keys, [id]) }, revoked: [id], result: true };
    });
  }

  async listKeys({ tenant, ...options }: KeyPageOptions): Promise<Page<KeyRecord>> {
    const keys = [...this.#state.keys.values()].filter((key) => tenant === undefined || key.tenant === tenant);
    return pageByKey(keys, ({ id }) => id, options);
  }

  onChange(listener: (change: TenancyChange) => void): void {
    this.#listeners.push(listener);
  }

  /** Changes come one after the other; each is in force when it is on the disk. */
  async #change<T>(part: Part, apply: (state: State) => Change<T>): Promise<T> {
    const changed = this.#lastChange.then(async () => {
      const { state, result, revoked = [] } = apply(this.#state);
      if (state === this.#state) return result;
      await errors[part].writing(() => this.#write(state));
      this.#state = state;
      for (const listener of this.#listeners) listener({ revoked });
      return result;
    });
    this.#lastChange = changed.catch(() => undefined); // the caller gets the error; the next change does not
    return changed;
  }

  async #write({ tenants, keys }: State): Promise<void> {
    const contents: Contents = { tenants: [...tenants.values()], keys: [...keys.values()] };
    await this.scratch.withDirectory(async (draft) => {
      const file = path.join(draft, FILE);
      await writeDurably(file, JSON.stringify(contents, undefined, 2), OWNER_ONLY);
      await makeDirectoryDurably(this.directory);
      await renameDurably(file, path.join(this.directory, FILE));
    });
  }
}

async function readContents(file: string): Promise<Contents> {
  const text = await ifExists(fs.readFile(file, 'utf8'));
  if (text === undefined) return { tenants: [], keys: [] };
  const contents = parse(text);
  if (!contents) throw damaged(file, 'it does not hold tenants and keys');
  const { tenants, keys } = contents;
  const [tenant, key] = [tenants.findIndex((each) => !isTenant(each)), keys.findIndex((each) => !isKey(each))];
  if (tenant >= 0) throw damaged(file, `its entry ${tenant + 1} of tenants is no tenant`);
  if (key >= 0) throw damaged(file, `its entry ${key + 1} of keys is no key`);
  return contents;
}

function damaged(file: string, problem: string): Error {
  return new Error(`${file} is damaged: ${problem}`);
}

/** Undefined for what holds no tenants and keys. The parser's message would quote the file. */
function parse(text: string): Contents | undefined {
  try {
    const { tenants, keys } = JSON.parse(text) as Partial<Contents>;
    if (Array.isArray(tenants) && Array.isArray(keys)) return { tenants, keys };
  } catch {
    // Not JSON.
  }
  return undefined;
}

function isTenant(value: Partial<TenantRecord> | null): boolean {
  return typeof value?.tenant === 'string' && typeof value.created === 'number' && typeof value.limits === 'object';
}

function isKey(value: Partial<KeyRecord> | null): boolean {
  if (typeof value?.created !== 'number') return false;
  return [value.id, value.tenant, value.last4, value.salt, value.hash].every((part) => typeof part === 'string');
}

function newTenant(tenant: string, created: number): TenantRecord {
  return { tenant, created, limits: {} };
}

function withTenant({ tenants, keys }: State, record: TenantRecord): State {
  return { tenants: new Map(tenants).set(record.tenant, record), keys };
}

function without<T>(map: ReadonlyMap<string, T>, keys: readonly string[]): ReadonlyMap<string, T> {
  return new Map([...map].filter(([key]) => !keys.includes(key)));
}
