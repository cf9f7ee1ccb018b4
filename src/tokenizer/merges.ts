/** Pairs of tokens that are merged into one, best first. */
export class MergeTable {
  /** Rank of each pair, by `keyOf`. */
  readonly #ranks = new Map<number, number>();
  /** The id that each rank merges to. */
  readonly #results: number[] = [];

  /** @param merges ids of the first token, the second and of both together, best first; at most 2 ** 21 */
  constructor(merges: Iterable<readonly [number, number, number]>) {
    for (const [left, right, result] of merges) {
      this.#ranks.set(keyOf(left, right), this.#results.length);
      this.#results.push(result);
    }
  }

  /**
   * Merges neighbours until none can be, the best pair first and of equal ones the leftmost, as Hugging Face's tokenizers do. It takes
   * O(n log n) for n symbols, and changes the array that it is given.
   * @returns what is left of the symbols, in order
   */
  apply(symbols: number[]): number[] {
    const count = symbols.length;
    if (count < 2) return symbols;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    for (let at = 0; at < count; at++) {
      next[at] = at + 1 < count ? at + 1 : NONE;
      previous[at] = at - 1;
    }
    const queue = new MinQueue(3 * count); // each merge takes a pair away, and adds two
    const offer = (at: number): void => {
      const rank = this.#rankAt(symbols, next, at);
      if (rank !== undefined) queue.push(rank * PLACES + at);
    };
    for (let at = 0; at < count; at++) offer(at);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const at = best % PLACES;
      const result = this.#results[Math.floor(best / PLACES)] ?? NONE;
      // The pair may be another one by now, or gone.
      const rank = this.#rankAt(symbols, next, at);
      if (rank === undefined || this.#results[rank] !== result) continue;
      const right = next[at] ?? NONE;
      const behind = next[right] ?? NONE;
      symbols[at] = result;
      symbols[right] = NONE;
      next[at] = behind;
      if (behind !== NONE) previous[behind] = at;
      const before = previous[at] ?? NONE;
      if (before !== NONE) offer(before);
      offer(at);
    }
    return symbols.filter((id) => id !== NONE);
  }

  /** The rank of the pair that begins at a place, if there is one and it can be merged. */
  #rankAt(symbols: readonly number[], next: Int32Array, at: number): number | undefined {
    const left = symbols[at] ?? NONE;
    const right = symbols[next[at] ?? NONE] ?? NONE;
    return left === NONE || right === NONE ? undefined : this.#ranks.get(keyOf(left, right));
  }
}

const NONE = -1;
/** More than the symbols of any text. With a rank below 2 ** 21, rank and place fit into a double. */
const PLACES = 2 ** 32;

/** One number for two ids. */
function keyOf(left: number, right: number): number {
  return left * PLACES + right;
}

/** Numbers of which the smallest comes first: a binary heap. */
class MinQueue {
  readonly #items: Float64Array;
  #count = 0;

  /** @param most numbers that are ever in it */
  constructor(most: number) {
    this.#items = new Float64Array(most);
  }

  push(item: number): void {
    const items = this.#items;
    let at = this.#count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as number;
      if (above <= item) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number | undefined {
    if (this.#count === 0) return undefined;
    const items = this.#items;
    const first = items[0] as number;
    const count = --this.#count;
    const last = items[count] as number;
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      if (child + 1 < count && (items[child + 1] as number) < (items[child] as number)) child++;
      const below = items[child] as number;
      if (below >= last) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return first;
  }
}
