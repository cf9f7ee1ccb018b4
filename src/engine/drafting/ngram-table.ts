/** Longest context of a table, in tokens. */
export const LONGEST_CONTEXT = 4;

/** A token that followed a context before. */
export interface Continuation {
  readonly id: number;
  /** Tokens of the context that it followed. */
  readonly length: number;
  /** How often it did, less how often another one did; 1 to `MOST_CONFIDENT`. */
  readonly confidence: number;
}

const CONFIDENCE_BITS = 6;
export const MOST_CONFIDENT = 2 ** CONFIDENCE_BITS - 1;
/** Places where an entry may be. */
const WAYS = 4;
const BYTES_PER_ENTRY = 8;
const FIRST_ENTRIES = 1024;

/**
 * What followed contexts of 1 to `LONGEST_CONTEXT` tokens: for each the token that came most often of late. An open-addressed table of
 * hashes, so that neither contexts nor texts are kept: 8 bytes an entry. It doubles until it has as many bytes as it may; then those
 * that were seen least give way.
 */
export class NgramTable {
  /** Hashes of contexts; 0 where there is no entry. */
  #hashes = new Uint32Array(FIRST_ENTRIES);
  /** Token ids above `CONFIDENCE_BITS` bits of confidence. */
  #values = new Uint32Array(FIRST_ENTRIES);
  #size = 0;

  /** @param maxBytes at least 8 KiB; a power of two */
  constructor(private readonly maxBytes: number) {}

  get bytes(): number {
    return this.#hashes.length * BYTES_PER_ENTRY;
  }

  /** What followed the longest context that ends `tokens` and is known; undefined where none is. */
  find(tokens: readonly number[], end = tokens.length): Continuation | undefined {
    const hashes = hashContexts(tokens, end);
    for (let length = hashes.length; length > 0; length--) {
      const place = this.#find(hashes[length - 1] as number);
      if (place < 0) continue;
      const value = this.#values[place] as number;
      return { id: value >>> CONFIDENCE_BITS, length, confidence: value & MOST_CONFIDENT };
    }
    return undefined;
  }

  /** Takes note that `tokens[index]` followed the tokens before it. */
  add(tokens: readonly number[], index: number): void {
    const id = tokens[index];
    if (id === undefined) return;
    for (const hash of hashContexts(tokens, index)) this.#add(hash, id);
  }

  #add(hash: number, id: number): void {
    const place = this.#find(hash);
    if (place >= 0) {
      const value = this.#values[place] as number;
      const confidence = value & MOST_CONFIDENT;
      if (value >>> CONFIDENCE_BITS === id) this.#values[place] = value + (confidence < MOST_CONFIDENT ? 1 : 0);
      else this.#values[place] = confidence > 1 ? value - 1 : (id << CONFIDENCE_BITS) | 1;
      return;
    }
    if (2 * this.#size >= this.#hashes.length && 2 * this.bytes <= this.maxBytes) this.#grow();
    this.#insert(hash, (id << CONFIDENCE_BITS) | 1);
  }

  #find(hash: number): number {
    for (let way = 0; way < WAYS; way++) {
      const place = this.#place(hash, way);
      if (this.#hashes[place] === hash) return place;
    }
    return -1;
  }

  /** Where there is no room, the least confident entry loses some of it, and its place once none is left. */
  #insert(hash: number, value: number): void {
    let least = this.#place(hash, 0);
    for (let way = 0; way < WAYS; way++) {
      const place = this.#place(hash, way);
      if (this.#hashes[place] === 0) {
        this.#size++;
        this.#set(place, hash, value);
        return;
      }
      if (this.#confidenceAt(place) < this.#confidenceAt(least)) least = place;
    }
    if (this.#confidenceAt(least) > 1) this.#values[least] = (this.#values[least] as number) - 1;
    else this.#set(least, hash, value);
  }

  #grow(): void {
    const [hashes, values] = [this.#hashes, this.#values];
    this.#hashes = new Uint32Array(2 * hashes.length);
    this.#values = new Uint32Array(2 * values.length);
    this.#size = 0;
    hashes.forEach((hash, place) => {
      if (hash !== 0) this.#insert(hash, values[place] as number);
    });
  }

  #set(place: number, hash: number, value: number): void {
    this.#hashes[place] = hash;
    this.#values[place] = value;
  }

  #place(hash: number, way: number): number {
    return (hash + way) & (this.#hashes.length - 1);
  }

  #confidenceAt(place: number): number {
    return (this.#values[place] as number) & MOST_CONFIDENT;
  }
}

/** Hashes, never 0, of the last token before `end`, of the last two, and so on. */
function hashContexts(tokens: readonly number[], end: number): number[] {
  const hashes: number[] = [];
  let hash = 0x9e3779b9;
  for (let length = 1; length <= Math.min(LONGEST_CONTEXT, end); length++) {
    hash = Math.imul(hash ^ (tokens[end - length] as number), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    hash ^= hash >>> 13;
    hashes.push(hash >>> 0 || 1);
  }
  return hashes;
}
