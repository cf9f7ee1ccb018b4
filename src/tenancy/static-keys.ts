import { createHash, timingSafeEqual } from 'node:crypto';

/** A key from the settings, and the tenant that it authenticates. */
export interface ApiKey {
  readonly tenant: string;
  readonly key: string;
}

/** A key from the settings, without its text. */
export interface StaticKey {
  /** `static-1` for the first pair of the settings, and so on. */
  readonly id: string;
  readonly tenant: string;
  /** The last characters of a key that is long enough to spare them. */
  readonly last4: string | undefined;
}

/** From this length on, four characters tell nothing that helps to guess the others. */
const LONG_KEY = 16;

/** The keys from the settings: they need no store, and are changed by a restart only. */
export class StaticKeys {
  readonly list: readonly StaticKey[];
  /** Each once, in order. */
  readonly tenants: readonly string[];
  readonly #digests: readonly { readonly tenant: string; readonly digest: Buffer }[];

  constructor(keys: readonly ApiKey[]) {
    this.list = keys.map(({ tenant, key }, index) => ({
      id: `static-${index + 1}`,
      tenant,
      last4: key.length >= LONG_KEY ? key.slice(-4) : undefined,
    }));
    this.tenants = [...new Set(keys.map(({ tenant }) => tenant))].sort();
    this.#digests = keys.map(({ tenant, key }) => ({ tenant, digest: sha256(key) }));
  }

  /** The tenant of a key. Compares all digests every time: neither a key's length nor its place shows in the time it takes. */
  tenantOf(key: string): string | undefined {
    const given = sha256(key);
    return this.#digests.filter(({ digest }) => timingSafeEqual(digest, given)).at(0)?.tenant;
  }
}

/** Whether two secrets are the same, in a time that tells neither where they differ nor how long the known one is. */
export function isSameSecret(known: string, given: string): boolean {
  return timingSafeEqual(sha256(known), sha256(given));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
