import fs from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { ifExists } from '../../disk/durable.js';
import { PackedKeys } from './packed-keys.js';

/** Entries remembered, over all directories. */
const MAX_KEYS = 250_000;
/** Entries that `find` looks at between two yields to the event loop. */
const LOOKED_AT_ONCE = 512;
/** File systems count time in ticks: a directory that changed this recently may change again without a later time. */
const TICK_MS = 1000;

/** The remembered entries of a directory. */
interface Known {
  readonly keys: PackedKeys;
  /** The directory's modification time in nanoseconds. */
  readonly changed: bigint;
}

/**
 * The sorted entries of directories, kept in memory, so that a page of a hundred thousand names needs no reading of
 * the directory. A directory is read again after it changed, except through `change`.
 */
export class DirectoryKeys {
  readonly #known = new LRUCache<string, Known>({ maxSize: MAX_KEYS, sizeCalculation: ({ keys }) => 1 + keys.length });

  /** The first `count` entries after `cursor`, in order; none when the directory does not exist. */
  async after(directory: string, cursor: string, count: number): Promise<string[]> {
    return (await this.#keys(directory)).after(cursor, count);
  }

  /** An entry that satisfies `isIt`; undefined when there is none. */
  async find(directory: string, isIt: (key: string) => boolean): Promise<string | undefined> {
    const keys = await this.#keys(directory);
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const some = keys.after(cursor, LOOKED_AT_ONCE);
      const found = some.find(isIt);
      if (found !== undefined) return found;
      cursor = some.at(-1);
      await setImmediate();
    }
    return undefined;
  }

  /**
   * Runs `work`, which adds (`isThere`) or removes the entry `key`, and updates the remembered entries. Nothing else
   * may change the directory meanwhile. Rejects as `work` does.
   */
  async change<T>(directory: string, key: string, isThere: boolean, work: () => Promise<T>): Promise<T> {
    const known = this.#known.get(directory);
    const isCurrent = known !== undefined && known.changed === (await timeOfChange(directory));
    this.#known.delete(directory);
    const result = await work();
    const changed = isCurrent ? await timeOfChange(directory) : undefined;
    if (known && changed !== undefined) {
      known.keys.set(key, isThere);
      this.#known.set(directory, { keys: known.keys, changed });
    }
    return result;
  }

  async #keys(directory: string): Promise<PackedKeys> {
    const now = Date.now();
    const changed = await timeOfChange(directory);
    if (changed === undefined) return new PackedKeys([]);
    const known = this.#known.get(directory);
    if (known?.changed === changed) return known.keys;
    const keys = new PackedKeys(((await ifExists(fs.readdir(directory))) ?? []).sort());
    if (now - Number(changed / 1_000_000n) > TICK_MS) this.#known.set(directory, { keys, changed });
    return keys;
  }
}

/** Modification time of a directory in nanoseconds; undefined when it does not exist. */
async function timeOfChange(directory: string): Promise<bigint | undefined> {
  return (await ifExists(fs.stat(directory, { bigint: true })))?.mtimeNs;
}
