/**
 * Looks for stop strings in text that comes in pieces. It holds back the shortest end of the text that may begin one, so that
 * what it lets go never has to be taken back; where the stop string is part of the text, it holds back nothing.
 */
export class StopStrings {
  readonly #stop: readonly string[];
  readonly #longest: number;
  #held = '';
  #isMatched = false;

  /** @param isIncluded whether the text ends behind the first stop string that is whole, and not before the one that starts first */
  constructor(
    stop: readonly string[],
    private readonly isIncluded = false,
  ) {
    this.#stop = stop.filter((one) => one !== '');
    this.#longest = Math.max(0, ...this.#stop.map(({ length }) => length));
  }

  /** Whether a stop string has come. All text after its start, or after its end where it is included, is dropped. */
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
    const end = mayStop ? this.#find(all, text.length) : undefined;
    this.#isMatched = end !== undefined;
    if (this.isIncluded) return this.#pass(all, text.length, end);
    const certain = end ?? all.length - this.#countHeld(all);
    this.#held = this.#isMatched ? '' : all.slice(certain);
    return all.slice(0, certain);
  }

  /** The text ends: what was held back is text after all. */
  end(): string {
    const held = this.isIncluded ? '' : this.#held;
    this.#held = '';
    return held;
  }

  /** Lets the text go that was added, up to `end`; what is kept of it is only looked at. */
  #pass(all: string, added: number, end = all.length): string {
    this.#held = this.#longest === 0 ? '' : all.slice(-this.#longest);
    return all.slice(all.length - added, end);
  }

  /** Where the text ends: at the first stop string that ends within the last `added` characters; undefined without one. */
  #find(text: string, added: number): number | undefined {
    const ends = this.#stop.flatMap((stop) => {
      const start = text.indexOf(stop, Math.max(0, text.length - added - stop.length + 1));
      return start < 0 ? [] : start + (this.isIncluded ? stop.length : 0);
    });
    return ends.length === 0 ? undefined : Math.min(...ends);
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
