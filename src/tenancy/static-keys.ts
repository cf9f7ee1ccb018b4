import { createHash, timingSafeEqual } from 'node:crypto';

/** A key from the settings, and the tenant that it authenticates. */
export interface ApiKey {
  readonly tenant: string;
  readonly key: string;
}

/** A key from the settings, without its text. */
export interface StaticKey {
  /** `static-1` for the first pair in PREAMBLE_API_KEYS, and so on. */
  readonly id: string;
  readonly tenant: string;
  /** The key's last 4 characters; undefined for a key that is too short to show them. */
  readonly last4: string | undefined;
}

/** Length from which showing 4 characters does not help to guess the others. */
const LONG_KEY = 16;

/** The keys from the settings. They need no store; only a restart changes them. */
export class StaticKeys {
  readonly list: readonly StaticKey[];
  /** Tenants of the keys, each once, in order. */
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

  /** The tenant of a key. Always compares all digests, so the time shows neither a key's length nor its position. */
  tenantOf(key: string): string | undefined {
    const given = sha256(key);
    return this.#digests.filter(({ digest }) => timingSafeEqual(digest, given)).at(0)?.tenant;
  }
}

/** Whether two secrets are the same. The time it takes shows neither where they differ nor how long the known one is. */
export function isSameSecret(known: string, given: string): boolean {
  return timingSafeEqual(sha256(known), sha256(given));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
