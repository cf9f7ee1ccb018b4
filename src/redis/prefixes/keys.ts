import { nameKey, tenantKey } from '../../prefix/name.js';

/** Changes when the layout does: two layouts live side by side. */
const LAYOUT = 'preamble:1';

/** Every change of a prefix is told here. */
export const CHANGES_CHANNEL = `${LAYOUT}:changes`;

/** The set of all tenants that ever stored something, as `<16 hex of the fingerprint> <tenant's key>`. */
export const TENANTS_KEY = `${LAYOUT}:tenants`;

/**
 * Keys of one tenant's prefixes for one base model. The braces keep them in one slot of a cluster, so that a script may touch
 * them together.
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

  /** Sorted set of the `nameKey` of every name, all with score 0: in order of their bytes. */
  get names(): string {
    return `${this.#root}:names`;
  }

  /** Sum of `PrefixInfo.bytes` over every version. */
  get bytes(): string {
    return `${this.#root}:bytes`;
  }

  /** Hash from the `adapterId` of every name to the name; see `prefix-index.ts`. */
  get ids(): string {
    return `${this.#root}:ids`;
  }

  /** Hash of what is known of a name; see `prefix-record.ts`. */
  record(name: string): string {
    return this.recordOf(nameKey(name));
  }

  recordOf(key: string): string {
    return `${this.#root}:name:${key}`;
  }

  /** Part of a file of an upload. */
  piece(draft: string, index: number): string {
    return `${this.#root}:piece:${draft}:${index}`;
  }
}
