import type { CachedPrefixStore } from '../../prefix/cached-store.js';
import type { RedisConnection } from '../connection.js';
import { CHANGES_CHANNEL, type PrefixKeys } from './keys.js';

/** A change of a name by any process: an upload, a promotion, a change of shares or grants, or a deletion. */
interface PrefixChange {
  /** First 16 hex digits of the base model's fingerprint. */
  readonly fingerprint: string;
  /** The tenant's key. */
  readonly tenant: string;
  readonly name: string;
  /** The version that is current now and answers all; undefined when the name was deleted or shares or grants have changed. */
  readonly version?: string | undefined;
}

/** Encodes a change as a message. `version` is that of a `PrefixChange`. */
export function encodeChange({ fingerprint, tenant }: PrefixKeys, name: string, version?: string): string {
  return JSON.stringify({ fingerprint, tenant, name, version } satisfies PrefixChange);
}

/** Decodes a message; undefined when it is not a change. */
function decodeChange(message: string): PrefixChange | undefined {
  try {
    const { fingerprint, tenant, name, version } = JSON.parse(message) as Partial<PrefixChange>;
    if (fingerprint === undefined || tenant === undefined || name === undefined) return undefined;
    return { fingerprint, tenant, name, version };
  } catch {
    return undefined;
  }
}

/**
 * Makes a cached store forget what other processes change, and everything after a reconnect, when messages may have
 * been missed.
 */
export async function forgetChanges(
  connection: RedisConnection,
  fingerprint: string,
  store: Pick<CachedPrefixStore, 'forget' | 'expire'>,
): Promise<void> {
  connection.onReconnect(() => store.expire());
  await connection.subscribe(CHANGES_CHANNEL, (message) => {
    const change = decodeChange(message);
    if (change?.fingerprint === fingerprint.slice(0, 16)) store.forget(change.tenant, change.name, change.version);
  });
}
