import type { Redis } from 'ioredis';

import { adapterId, nameKey } from '../../prefix/name.js';
import type { PrefixStore } from '../../prefix/store.js';
import type { PrefixKeys } from './keys.js';
import { Script } from '../script.js';

/** Names added to the index at a time. */
const PAGE = 100;

/**
 * Finds the name of an adapter id.
 *
 * KEYS: ids, names
 * ARGV: id, the id's `nameKey` (a name may look like an id)
 * Returns {the name or false, how many names the index lacks}
 */
const findName = new Script(`
local ids, names = KEYS[1], KEYS[2]
local missing = redis.call('ZCARD', names) - tonumber(redis.call('HGET', ids, 'names') or '0')
if redis.call('ZSCORE', names, ARGV[2]) then return {ARGV[1], missing} end
return {redis.call('HGET', ids, ARGV[1]), missing}
`);

/**
 * Adds names to the index, except names that were deleted meanwhile.
 *
 * KEYS: ids, names
 * ARGV: for each name: its key, its adapter id, the name
 */
const addNames = new Script(`
for i = 1, #ARGV, 3 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) then redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[i + 2]) end
end
`);

/**
 * Records that the index has every name, unless names were added or removed meanwhile without updating the index.
 *
 * KEYS: ids, names
 * ARGV: how many names the index lacked before
 */
const markWhole = new Script(`
local names = redis.call('ZCARD', KEYS[2])
local missing = names - tonumber(redis.call('HGET', KEYS[1], 'names') or '0')
if names == 0 then redis.call('UNLINK', KEYS[1])
elseif missing == tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'names', names) end
`);

/**
 * Finds a prefix's name by adapter id: a hash from ids to names for each tenant. The hash's field `names` counts the
 * names in the index; when it is lower than the number of names, the next look-up that fails adds the missing ones.
 */
export class PrefixIndex {
  readonly #filling = new Map<string, Promise<void>>();

  constructor(
    private readonly client: Redis,
    private readonly store: Pick<PrefixStore, 'list'>,
  ) {}

  /** See `PrefixStore.nameOf`. */
  async nameOf(keys: PrefixKeys, id: string): Promise<string | undefined> {
    const { name, missing } = await this.#find(keys, id);
    if (name !== null || missing === 0) return name ?? undefined;
    await this.#fillOnce(keys, missing);
    return (await this.#find(keys, id)).name ?? undefined;
  }

  async #find({ ids, names }: PrefixKeys, id: string): Promise<{ name: string | null; missing: number }> {
    const found = await findName.run(this.client, [ids, names], [id, nameKey(id)]);
    const [name, missing] = found as [string | null, number];
    return { name, missing };
  }

  /** Fills the index once for all callers that wait for it. */
  #fillOnce(keys: PrefixKeys, missing: number): Promise<void> {
    const { ids } = keys;
    const filling = this.#filling.get(ids) ?? this.#fill(keys, missing).finally(() => this.#filling.delete(ids));
    this.#filling.set(ids, filling);
    return filling;
  }

  async #fill({ tenant, ids, names }: PrefixKeys, missing: number): Promise<void> {
    for (let after: string | undefined, more = true; more;) {
      const page = await this.store.list(tenant, { limit: PAGE, after });
      const added = page.data.flatMap(({ name }) => [nameKey(name), adapterId(tenant, name), name]);
      await addNames.run(this.client, [ids, names], added);
      after = page.data.at(-1)?.name;
      more = page.hasMore;
    }
    await markWhole.run(this.client, [ids, names], [missing]);
  }
}
