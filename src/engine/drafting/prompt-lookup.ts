/** Tokens that a match has at least, and at most. */
const SHORTEST_MATCH = 2;
export const LONGEST_MATCH = 4;

/** A place in a text where the tokens that it ends with stood before. */
export interface Match {
  /** Index of the token behind them. */
  readonly index: number;
  /** Number of tokens that are the same, `SHORTEST_MATCH` to `LONGEST_MATCH`. */
  readonly length: number;
}

/** A text that grows at its end, and where it last said what it says now: a source, a prompt, and what is generated. */
export class PromptLookup {
  readonly #text: number[];
  /** Index of the token behind the last occurrence of each pair of tokens. */
  readonly #behind = new Map<number, number>();

  constructor(text: readonly number[]) {
    this.#text = [...text];
    for (let end = SHORTEST_MATCH; end < text.length; end++) this.#behind.set(this.#pairBefore(end), end);
  }

  /** A token of the text; undefined behind its end. */
  at(index: number): number | undefined {
    return this.#text[index];
  }

  push(token: number): void {
    const end = this.#text.length;
    if (end >= SHORTEST_MATCH) this.#behind.set(this.#pairBefore(end), end);
    this.#text.push(token);
  }

  /** Where the text would go on if it repeated itself; undefined where its end is new. */
  find(): Match | undefined {
    const end = this.#text.length;
    const index = end < SHORTEST_MATCH ? undefined : this.#behind.get(this.#pairBefore(end));
    if (index === undefined) return undefined;
    let length = SHORTEST_MATCH;
    while (length < Math.min(LONGEST_MATCH, index) && this.#text[index - 1 - length] === this.#text[end - 1 - length]) {
      length++;
    }
    return { index, length };
  }

  /** The two tokens before a place, as one number. */
  #pairBefore(index: number): number {
    return (this.#text[index - 2] ?? 0) * 2 ** 26 + (this.#text[index - 1] ?? 0);
  }
}
