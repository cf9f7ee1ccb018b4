/** Keys of a block, which is what a change copies and a look-up unpacks. */
const BLOCK_KEYS = 512;
/** Between the keys of a block: no file name has it. */
const SEPARATOR = '/';

interface Block {
  readonly first: string;
  /** Its keys in order, joined. */
  readonly text: string;
}

/** File names in order, in few strings: as many as there are names would take ten times the memory. */
export class PackedKeys {
  readonly #blocks: Block[] = [];
  #length: number;

  /** @param keys in order, each once */
  constructor(keys: readonly string[]) {
    this.#length = keys.length;
    for (let from = 0; from < keys.length; from += BLOCK_KEYS) {
      this.#blocks.push(pack(keys.slice(from, from + BLOCK_KEYS)));
    }
  }

  get length(): number {
    return this.#length;
  }

  /** The first `count` keys behind `cursor`, in order. */
  after(cursor: string, count: number): string[] {
    const found: string[] = [];
    for (let index = this.#indexOf(cursor); index < this.#blocks.length && found.length < count; index++) {
      found.push(...unpack(this.#blocks[index]).filter((key) => key > cursor));
    }
    return found.slice(0, count);
  }

  /** Adds a key or takes it out; one that is there, or is not, already changes nothing. */
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

  /** The block that has a key, or would have it. */
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
