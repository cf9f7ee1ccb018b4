import { nameKey, tenantKey } from '../../prefix/name.js';

/** Version of the key layout. Two layouts can live side by side in one Redis. */
const LAYOUT = 'preamble:1';

/** Channel on which every change of a prefix is published. */
export const CHANGES_CHANNEL = `${LAYOUT}:changes`;

/** Set of all tenants that ever stored a prefix, as `<16 hex of the fingerprint> <tenant's key>`. */
export const TENANTS_KEY = `${LAYOUT}:tenants`;

/** The set of tenants' keys that were given the bundled prefixes of a base model. */
export function seededKey(fingerprint: string): string {
  return `${LAYOUT}:seeded:${fingerprint.slice(0, 16)}`;
}

/**
 * Redis keys of one tenant's prefixes for one base model. The braces keep them in one cluster slot, so that a script
 * may use them together.
 */
export class PrefixKeys {
  readonly #root: string;

  /** Throws `tenant_invalid`. */
  constructor(
    readonly fingerprint: string,
    tenant: string,
  ) {
    this.tenant = tenantKey(tenant);
    this.#root = `${LAYOUT}:{${this.fingerprint}:${this.tenant}}`;
  }

  readonly tenant: string;

  /** Sorted set of the `nameKey` of every name, all with score 0, so ordered by their bytes. */
  get names(): string {
    return `${this.#root}:names`;
  }

  /** Sum of `PrefixInfo.bytes` over all versions. */
  get bytes(): string {
    return `${this.#root}:bytes`;
  }

  /** Hash from adapter id to name, with an entry for each name. */
  get ids(): string {
    return `${this.#root}:ids`;
  }

  /** Hash of prefixes of others that were noted for the tenant, by `<owner>:<name>`. */
  get offers(): string {
    return `${this.#root}:offers`;
  }

  /** Hash of the versions of a name; see `record.ts`. */
  record(name: string): string {
    return this.recordOf(nameKey(name));
  }

  /** The same by the name's `nameKey`. */
  recordOf(key: string): string {
    return `${this.#root}:name:${key}`;
  }

  /** One piece of a file of an upload. */
  piece(draft: string, index: number): string {
    return `${this.#root}:piece:${draft}:${index}`;
  }
}
