/** Keys of a block: a change rewrites one block, a look-up unpacks one. */
const BLOCK_KEYS = 512;
/** Separates the keys of a block; cannot occur in a file name. */
const SEPARATOR = '/';

interface Block {
  readonly first: string;
  /** The block's keys in order, joined. */
  readonly text: string;
}

/** Sorted file names, joined to few long strings: one string for each name would take ten times the memory. */
export class PackedKeys {
  readonly #blocks: Block[] = [];
  #length: number;

  /** @param keys sorted, without repeats */
  constructor(keys: readonly string[]) {
    this.#length = keys.length;
    for (let from = 0; from < keys.length; from += BLOCK_KEYS) {
      this.#blocks.push(pack(keys.slice(from, from + BLOCK_KEYS)));
    }
  }

  get length(): number {
    return this.#length;
  }

  /** The first `count` keys after `cursor`, in order. */
  after(cursor: string, count: number): string[] {
    const found: string[] = [];
    for (let index = this.#indexOf(cursor); index < this.#blocks.length && found.length < count; index++) {
      found.push(...unpack(this.#blocks[index]).filter((key) => key > cursor));
    }
    return found.slice(0, count);
  }

  /** Adds (`isThere`) or removes a key. Does nothing if the key is there already, or is not. */
  set(key: string, isThere: boolean): void {
    const index = this.#indexOf(key);
    const keys = unpack(this.#blocks[index]);
    if (keys.includes(key) === isThere) return;
    const changed = isThere ? [...keys, key].sort() : keys.filter((other) => other !== key);
    const middle = changed.length > 2 * BLOCK_KEYS ? BLOCK_KEYS : changed.length;
    const parts = [changed.slice(0, middle), changed.slice(middle)].filter(({ length }) => length > 0);
    this.#blocks.splice(index, 1, ...parts.map(pack));
    this.#length += isThere ? 1 : -1;
  }

  /** Index of the block that has a key, or would have it. */
  #indexOf(key: string): number {
    let [low, high] = [0, this.#blocks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#blocks[middle] as Block).first > key) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low - 1);
  }
}

function pack(keys: readonly string[]): Block {
  return { first: keys[0] as string, text: keys.join(SEPARATOR) };
}

function unpack(block: Block | undefined): string[] {
  return block === undefined ? [] : block.text.split(SEPARATOR);
}
