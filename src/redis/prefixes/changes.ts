import type { CachedPrefixStore } from '../../prefix/cached-store.js';
import type { RedisConnection } from '../connection.js';
import { CHANGES_CHANNEL, type PrefixKeys } from './keys.js';

/** A name that was put, promoted or deleted, by any process. */
export interface PrefixChange {
  /** 16 hex digits of the base model's fingerprint. */
  readonly fingerprint: string;
  /** The tenant's key. */
  readonly tenant: string;
  readonly name: string;
  /** What it stands for now; undefined when it was deleted. */
  readonly version?: string | undefined;
}

export function encodeChange({ fingerprint, tenant }: PrefixKeys, name: string, version?: string): string {
  return JSON.stringify({ fingerprint, tenant, name, version } satisfies PrefixChange);
}

/** Undefined for what is no such message. */
export function decodeChange(message: string): PrefixChange | undefined {
  try {
    const { fingerprint, tenant, name, version } = JSON.parse(message) as Partial<PrefixChange>;
    if (fingerprint === undefined || tenant === undefined || name === undefined) return undefined;
    return { fingerprint, tenant, name, version };
  } catch {
    return undefined;
  }
}

/** Lets a store forget what other processes change, and everything when messages may have been missed. */
export async function forgetChanges(
  connection: RedisConnection,
  fingerprint: string,
  store: Pick<CachedPrefixStore, 'forget' | 'forgetAll'>,
): Promise<void> {
  connection.onReconnect(() => store.forgetAll());
  await connection.subscribe(CHANGES_CHANNEL, (message) => {
    const change = decodeChange(message);
    if (change?.fingerprint === fingerprint.slice(0, 16)) store.forget(change.tenant, change.name, change.version);
  });
}
