import fs from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { ifExists } from '../../disk/durable.js';
import { PackedKeys } from './packed-keys.js';

/** Entries that are remembered, over all directories. */
const MAX_KEYS = 250_000;
/** Entries that `find` looks at before others have their turn. */
const LOOKED_AT_ONCE = 512;
/** File systems count time in ticks: a directory that changed this recently may change again without a later time. Milliseconds. */
const TICK = 1000;

interface Known {
  readonly keys: PackedKeys;
  /** When the directory had changed last. Nanoseconds. */
  readonly changed: bigint;
}

/**
 * What directories contain, in order, and remembered: a page of a hundred thousand entries is found without reading the directory. It
 * is read again when it has changed, except by `change`.
 */
export class DirectoryKeys {
  readonly #known = new LRUCache<string, Known>({ maxSize: MAX_KEYS, sizeCalculation: ({ keys }) => 1 + keys.length });

  /** The first `count` entries behind `cursor`, in order; none where there is no directory. */
  async after(directory: string, cursor: string, count: number): Promise<string[]> {
    return (await this.#keys(directory)).after(cursor, count);
  }

  /** An entry that `isIt` is true for; undefined when there is none. */
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
   * Makes a change of one entry, which is there afterwards or is not. Nobody else may change the directory meanwhile.
   * Rejects as `work` does.
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
    if (now - Number(changed / 1_000_000n) > TICK) this.#known.set(directory, { keys, changed });
    return keys;
  }
}

/** Undefined where there is no directory. */
async function timeOfChange(directory: string): Promise<bigint | undefined> {
  return (await ifExists(fs.stat(directory, { bigint: true })))?.mtimeNs;
}
