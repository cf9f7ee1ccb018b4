import { ConversionError } from '../errors.js';

const NEWLINE = 0x0a;
/** Longest name of a Python module or class that is read. */
const MAX_LINE_BYTES = 1000;

/** The arguments of a pickle's opcodes, one after another. Each read throws ConversionError where the bytes end. */
export class PickleReader {
  readonly #view: DataView;
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A little-endian number of 1, 2 or 4 bytes. */
  unsigned(size: number): number {
    const at = this.#skip(size);
    return size === 1
      ? this.#view.getUint8(at)
      : size === 2
        ? this.#view.getUint16(at, true)
        : this.#view.getUint32(at, true);
  }

  int32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  /** A two's complement number with its size in bytes in front. Throws ConversionError for one that is no safe integer. */
  long(): number {
    const size = this.unsigned(1);
    const at = this.#skip(size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i));
    const number = Number(BigInt.asIntN(8 * size, value));
    if (!Number.isSafeInteger(number)) throw new ConversionError('the pickle has a number that is too large');
    return number;
  }

  /** A text of so many bytes of UTF-8. */
  text(size: number): string {
    const at = this.#skip(size);
    return new TextDecoder().decode(this.bytes.subarray(at, at + size));
  }

  /** A text that a newline ends. */
  line(): string {
    const end = this.bytes.subarray(this.#at, this.#at + MAX_LINE_BYTES).indexOf(NEWLINE);
    if (end === -1) throw new ConversionError('the pickle ends in the middle of a name, or has one of 1000 bytes');
    const line = this.text(end);
    this.#skip(1);
    return line;
  }

  #skip(size: number): number {
    const at = this.#at;
    if (at + size > this.bytes.length) throw new ConversionError('the pickle ends too early');
    this.#at = at + size;
    return at;
  }
}
