import type { Redis } from 'ioredis';

import { StoreError } from '../../lib/store-error.js';
import { allTo, leaderOf, storedShares } from '../../prefix/shares.js';
import type { NameState, PrefixDetails } from '../../prefix/store.js';
import { encodeChange } from './changes.js';
import { CHANGES_CHANNEL, type PrefixKeys } from './keys.js';
import { detailsOf } from './record.js';
import { changeState } from './scripts.js';

/** Attempts to change the state of a name that keeps changing. */
const ATTEMPTS = 20;

/**
 * Changes the state of a name, as `PrefixStore.update` does: reads it, and writes unless it has changed meanwhile.
 * @param keys those of the tenant
 * @throws StoreError where it keeps changing; what `change` throws, and Redis
 */
export async function updateState(
  client: Redis,
  keys: PrefixKeys,
  name: string,
  change: (details: PrefixDetails) => NameState,
): Promise<PrefixDetails | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const hash = await client.hgetall(keys.record(name));
    const details = hash['current'] === undefined ? undefined : detailsOf(hash);
    if (details === undefined) return undefined;
    const { shares, previous, grants } = change(details);
    const current = leaderOf(shares ?? allTo(details.version), details.version);
    const info = details.versions.find(({ version }) => version === current) ?? details;
    const stored = { shares: storedShares(shares), previous, grants };
    const read = [hash['current'], hash['shares'], hash['previous'], hash['grants']].map((text) => text ?? '');
    const written = Object.values(stored).map((value) => (value === undefined ? '' : JSON.stringify(value)));
    const args = [...read, current, ...written, CHANGES_CHANNEL, encodeChange(keys, name)];
    const isDone = (await changeState.run(client, [keys.record(name)], args)) === 1;
    if (isDone) return { ...info, versions: details.versions, ...stored };
  }
  throw new StoreError('prefixes', 'too_slow');
}
