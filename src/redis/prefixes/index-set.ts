import type { Redis } from 'ioredis';

import { adapterId, nameKey } from '../../prefix/name.js';
import type { PrefixStore } from '../../prefix/store.js';
import type { PrefixKeys } from './keys.js';
import { Script } from '../script.js';

/** Names that are added together. */
const PAGE = 100;

/**
 * Finds what an adapter's id stands for.
 *
 * KEYS: ids, names
 * ARGV: id, the `nameKey` that it has as a name
 * Returns {the name or false, how many names the index does not have}
 */
const findName = new Script(`
local ids, names = KEYS[1], KEYS[2]
local missing = redis.call('ZCARD', names) - tonumber(redis.call('HGET', ids, 'names') or '0')
if redis.call('ZSCORE', names, ARGV[2]) then return {ARGV[1], missing} end
return {redis.call('HGET', ids, ARGV[1]), missing}
`);

/**
 * Adds names, without those that were deleted meanwhile.
 *
 * KEYS: ids, names
 * ARGV: name's key, adapter's id, name, for each
 */
const addNames = new Script(`
for i = 1, #ARGV, 3 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) then redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[i + 2]) end
end
`);

/**
 * Says that the index has every name, unless names came or went meanwhile that it was not told of.
 *
 * KEYS: ids, names
 * ARGV: how many it did not have before
 */
const markWhole = new Script(`
local names = redis.call('ZCARD', KEYS[2])
local missing = names - tonumber(redis.call('HGET', KEYS[1], 'names') or '0')
if names == 0 then redis.call('UNLINK', KEYS[1])
elseif missing == tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'names', names) end
`);

/**
 * Which names adapters' ids stand for: a tenant's hash from ids to names. Its field `names` counts the names that it was told of: it has all
 * while that is how many there are. Servers of before tell it of none; what they stored is gone through by the first who asks for an id
 * that is not there.
 */
export class PrefixIndex {
  readonly #filling = new Map<string, Promise<void>>();

  constructor(
    private readonly client: Redis,
    private readonly store: Pick<PrefixStore, 'list'>,
  ) {}

  /** As `PrefixStore.nameOf`. */
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

  /** However many ask. */
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
