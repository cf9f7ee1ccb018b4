/** Bytes of a file that are kept as they came, before room for all of it is taken: who only announces a large file gets none. */
const FEW_BYTES = 2 ** 20;

/** The bytes of a file as they come, in one buffer: a chunk is garbage once it is appended. */
export class FileBytes {
  readonly #first: Uint8Array[] = [];
  #all: Buffer | undefined;
  #length = 0;

  /** @param mostBytes size that the file cannot exceed. Memory that stays unwritten is only reserved. */
  constructor(private readonly mostBytes: number) {}

  get length(): number {
    return this.#length;
  }

  /** @throws RangeError beyond `mostBytes` */
  append(chunk: Uint8Array): void {
    const begin = this.#length;
    this.#length += chunk.length;
    if (this.#all === undefined && this.#length <= FEW_BYTES) {
      this.#first.push(chunk);
      return;
    }
    this.#all ??= this.#allocate();
    this.#all.set(chunk, begin);
  }

  /** The whole file. Call it once, at the end. */
  finish(): Buffer {
    return this.#all?.subarray(0, this.#length) ?? Buffer.concat(this.#first);
  }

  #allocate(): Buffer {
    const all = Buffer.allocUnsafeSlow(this.mostBytes);
    let end = 0;
    for (const chunk of this.#first.splice(0)) {
      all.set(chunk, end);
      end += chunk.length;
    }
    return all;
  }
}
