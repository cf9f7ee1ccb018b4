import fs from 'node:fs/promises';

import { LRUCache } from 'lru-cache';

import { ifExists } from '../disk/durable.js';

/** Entries that are remembered, over all directories. */
const MAX_KEYS = 250_000;
/** File systems count time in ticks: a directory that changed this recently may change again without a later time. Milliseconds. */
const TICK = 1000;

interface Known {
  /** In order. */
  readonly keys: string[];
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
    const keys = await this.#keys(directory);
    const first = firstAfter(keys, cursor);
    return keys.slice(first, first + count);
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
      setEntry(known.keys, key, isThere);
      this.#known.set(directory, { keys: known.keys, changed });
    }
    return result;
  }

  async #keys(directory: string): Promise<string[]> {
    const now = Date.now();
    const changed = await timeOfChange(directory);
    if (changed === undefined) return [];
    const known = this.#known.get(directory);
    if (known?.changed === changed) return known.keys;
    const keys = ((await ifExists(fs.readdir(directory))) ?? []).sort();
    if (now - Number(changed / 1_000_000n) > TICK) this.#known.set(directory, { keys, changed });
    return keys;
  }
}

/** Undefined where there is no directory. */
async function timeOfChange(directory: string): Promise<bigint | undefined> {
  return (await ifExists(fs.stat(directory, { bigint: true })))?.mtimeNs;
}

function setEntry(keys: string[], key: string, isThere: boolean): void {
  const behind = firstAfter(keys, key);
  const wasThere = keys[behind - 1] === key;
  if (isThere && !wasThere) keys.splice(behind, 0, key);
  if (!isThere && wasThere) keys.splice(behind - 1, 1);
}

/** Index of the first key behind `cursor`, in order. */
function firstAfter(keys: readonly string[], cursor: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) > cursor) high = middle;
    else low = middle + 1;
  }
  return low;
}
