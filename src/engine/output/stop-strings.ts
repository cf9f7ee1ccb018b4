/**
 * Looks for stop strings in text that comes in pieces. It holds back the shortest end of the text that may begin one, so that
 * what it lets go never has to be taken back.
 */
export class StopStrings {
  readonly #stop: readonly string[];
  readonly #longest: number;
  #held = '';
  #isMatched = false;

  constructor(stop: readonly string[]) {
    this.#stop = stop.filter((one) => one !== '');
    this.#longest = Math.max(0, ...this.#stop.map(({ length }) => length));
  }

  /** Whether a stop string has come. All text after its start is dropped. */
  get isMatched(): boolean {
    return this.#isMatched;
  }

  /**
   * Adds text and returns what is certain.
   * @param mayStop when false, a stop string that ends within this text is ordinary text
   */
  push(text: string, mayStop = true): string {
    if (this.#isMatched) return '';
    const all = this.#held + text;
    const start = mayStop ? this.#find(all, text.length) : -1;
    this.#isMatched = start >= 0;
    const certain = this.#isMatched ? start : all.length - this.#countHeld(all);
    this.#held = this.#isMatched ? '' : all.slice(certain);
    return all.slice(0, certain);
  }

  /** The text ends: what was held back is text after all. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  /** Start of the first stop string that ends within the last `added` characters, or -1. */
  #find(text: string, added: number): number {
    const starts = this.#stop.map((stop) => text.indexOf(stop, Math.max(0, text.length - added - stop.length + 1)));
    return starts.reduce((first, start) => (start >= 0 && (first < 0 || start < first) ? start : first), -1);
  }

  /** Length of the longest end of the text that is a beginning of a stop string. */
  #countHeld(text: string): number {
    for (let length = Math.min(text.length, this.#longest - 1); length > 0; length--) {
      const end = text.slice(-length);
      if (this.#stop.some((stop) => stop.length > length && stop.startsWith(end))) return length;
    }
    return 0;
  }
}
