import { firstPage, type Page, type PageOptions } from '../../lib/page.js';
import { LIMIT_NAMES, type LimitChanges, type OwnLimits } from '../../tenancy/limits.js';
import type { KeyPageOptions, KeyRecord, TenancyChange, TenancyStore, TenantRecord } from '../../tenancy/store.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import {
  addKey,
  CHANNEL,
  deleteTenant,
  keyName,
  KEYS,
  keysOf,
  revokeKey,
  setTenant,
  TENANTS,
  tenantName,
} from './scripts.js';
import type { Script } from '../script.js';

type Hash = Readonly<Record<string, string>>;

const mapErrors = { tenants: mapRedisErrors('tenants'), keys: mapRedisErrors('keys') };
/** The store that a failure is reported for. */
type Part = keyof typeof mapErrors;

/** Tenants and keys on Redis, for all replicas. Each change is one script, which also notifies the other replicas. */
export class RedisTenancyStore implements TenancyStore {
  readonly #listeners: ((change: TenancyChange | undefined) => void)[] = [];

  private constructor(private readonly connection: RedisConnection) {}

  /** @throws StoreError */
  static async open(connection: RedisConnection): Promise<RedisTenancyStore> {
    const store = new RedisTenancyStore(connection);
    await mapErrors.keys(connection.subscribe(CHANNEL, (message) => store.#tell(readChange(message))));
    connection.onReconnect(() => store.#tell(undefined));
    return store;
  }

  async getTenant(tenant: string): Promise<TenantRecord | undefined> {
    return toTenant(tenant, await mapErrors.tenants(this.connection.client.hgetall(tenantName(tenant))));
  }

  async setTenant(tenant: string, changes: LimitChanges, now: number): Promise<TenantRecord> {
    const fields = Object.entries(changes).flatMap(([name, value]) => [name, String(value)]);
    const created = await this.#run('tenants', setTenant, [tenantName(tenant), TENANTS], [tenant, now, ...fields]);
    return toTenant(tenant, toHash(created as string[])) as TenantRecord;
  }

  async deleteTenant(tenant: string): Promise<boolean> {
    const keys = [tenantName(tenant), TENANTS, KEYS, keysOf(tenant)];
    return (await this.#run('tenants', deleteTenant, keys, [tenant])) === 1;
  }

  async listTenants(options: PageOptions): Promise<Page<TenantRecord>> {
    return this.#page('tenants', TENANTS, options, (tenant) => this.getTenant(tenant));
  }

  async getKey(id: string): Promise<KeyRecord | undefined> {
    return toKey(id, await mapErrors.keys(this.connection.client.hgetall(keyName(id))));
  }

  async addKey({ id, tenant, label, created, last4, salt, hash }: KeyRecord): Promise<void> {
    const keys = [keyName(id), KEYS, keysOf(tenant), tenantName(tenant), TENANTS];
    const fields = Object.entries({ tenant, created, last4, salt, hash, ...(label !== undefined && { label }) }).flat();
    await this.#run('keys', addKey, keys, [id, tenant, created, ...fields]);
  }

  async revokeKey(id: string): Promise<boolean> {
    return (await this.#run('keys', revokeKey, [keyName(id), KEYS], [id])) === 1;
  }

  async listKeys({ tenant, ...options }: KeyPageOptions): Promise<Page<KeyRecord>> {
    return this.#page('keys', tenant === undefined ? KEYS : keysOf(tenant), options, (id) => this.getKey(id));
  }

  onChange(listener: (change: TenancyChange | undefined) => void): void {
    this.#listeners.push(listener);
  }

  /** A page of the records that a sorted set's members name, in order. A record that is deleted meanwhile is left out. */
  async #page<T>(
    part: Part,
    set: string,
    { limit, after }: PageOptions,
    get: (member: string) => Promise<T | undefined>,
  ): Promise<Page<T>> {
    const from = after === undefined || after === '' ? '-' : `(${after}`;
    const members = await mapErrors[part](this.connection.client.zrangebylex(set, from, '+', 'LIMIT', 0, limit + 1));
    const found = await Promise.all(members.slice(0, limit).map(get));
    return firstPage(
      found.filter((item) => item !== undefined),
      limit,
      members.length > limit,
    );
  }

  #run(part: Part, script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return mapErrors[part](script.run(this.connection.client, keys, args));
  }

  #tell(change: TenancyChange | undefined): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Decodes a message. Undefined for one that this store does not send; then anything may have changed. */
function readChange(message: string): TenancyChange | undefined {
  try {
    const { revoked } = JSON.parse(message) as Partial<TenancyChange>;
    return Array.isArray(revoked) ? { revoked } : undefined;
  } catch {
    return undefined;
  }
}

function toTenant(tenant: string, hash: Hash): TenantRecord | undefined {
  if (hash['created'] === undefined) return undefined;
  const limits = LIMIT_NAMES.flatMap((name) => {
    const value = hash[name];
    return value === undefined ? [] : [[name, value === 'null' ? null : Number(value)]];
  });
  return { tenant, created: Number(hash['created']), limits: Object.fromEntries(limits) as OwnLimits };
}

function toKey(id: string, hash: Hash): KeyRecord | undefined {
  const { tenant, label, created, last4, salt, hash: digest } = hash;
  if (!tenant || !last4 || !salt || !digest) return undefined;
  return { id, tenant, label, created: Number(created), last4, salt, hash: digest };
}

/** The hash in a script's result, an array of fields and values in turns. */
function toHash(flat: readonly string[]): Hash {
  return Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? '']] : [])));
}
