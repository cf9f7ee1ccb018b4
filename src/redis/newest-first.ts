import type { Redis } from 'ioredis';

import type { Page, PageOptions } from '../lib/page.js';
import { Script } from './script.js';

/**
 * Reads members of a sorted set, highest score first.
 *
 * KEYS: sorted set
 * ARGV: the member after which to begin, or ''; number of members
 * Returns members; none when the given one is not there.
 */
const membersBehind = new Script(`
local from = 0
if ARGV[1] ~= '' then
  local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
  if not rank then return {} end
  from = rank + 1
end
return redis.call('ZREVRANGE', KEYS[1], from, from + ARGV[2] - 1)
`);

/**
 * A page of the things that a sorted set's members name, newest first. A thing that is deleted meanwhile is left out, and so is a damaged one.
 * @param damaged code of the error that `get` throws for a damaged thing
 */
export async function newestFirst<T>(
  client: Redis,
  set: string,
  { limit, after = '' }: PageOptions,
  get: (id: string) => Promise<T | undefined>,
  damaged: string,
): Promise<Page<T>> {
  const getUndamaged = (id: string): Promise<T | undefined> =>
    get(id).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === damaged) return undefined;
      throw error;
    });
  // One more than asked for tells whether there is another page.
  const ids = (await membersBehind.run(client, [set], [after, limit + 1])) as string[];
  const found = await Promise.all(ids.slice(0, limit).map(getUndamaged));
  return { data: found.filter((item) => item !== undefined), hasMore: ids.length > limit };
}
