import type { Redis } from 'ioredis';

import type { ForeignPrefix } from '../../prefix/store.js';
import type { PrefixKeys } from './keys.js';

/** The prefixes of others that were noted for a tenant. @param keys those of the tenant */
export async function readOffers(client: Redis, keys: PrefixKeys): Promise<readonly ForeignPrefix[]> {
  const offers = Object.keys(await client.hgetall(keys.offers));
  return offers.map((text) => {
    const [owner = '', name = ''] = text.split(':');
    return { owner, name };
  });
}

/** Notes a prefix of another for a tenant, or (`isOffered` false) removes its note. @param keys those of the tenant */
export async function noteOffer(
  client: Redis,
  keys: PrefixKeys,
  { owner, name }: ForeignPrefix,
  isOffered: boolean,
): Promise<void> {
  const field = `${owner}:${name}`;
  await (isOffered ? client.hset(keys.offers, field, '') : client.hdel(keys.offers, field));
}
