import type { AddedToken } from './added-tokens.js';
import { isSpaceAt } from './unicode.js';

/** A lower bound on the number of tokens of a text, for a byte-level BPE. */
export class TokenBound {
  /** Most bytes of text that one token can stand for. */
  readonly #longest: number;
  readonly #greedy: readonly AddedToken[];
  readonly #missing: ReadonlySet<number>;

  /**
   * @param vocabulary tokens in the byte-level alphabet, each character a byte
   * @param missing bytes that have no token, and that texts lose
   * @param isExact false: a normalizer or a pre-tokenizer may drop any text, so the bound is 0
   */
  constructor(
    vocabulary: readonly string[],
    added: readonly AddedToken[],
    missing: ReadonlySet<number>,
    isExact: boolean,
  ) {
    this.#missing = missing;
    const lengths = [
      ...vocabulary.map(({ length }) => length),
      ...added.map(({ content }) => Buffer.byteLength(content)),
    ];
    this.#longest = isExact ? lengths.reduce((longest, length) => Math.max(longest, length), 1) : Infinity;
    this.#greedy = added.filter(({ content, lstrip, rstrip }) => content !== '' && (lstrip || rstrip));
  }

  /** The bound for a text, in time that grows with its length and no faster. */
  minTokens(text: string): number {
    const dropped = this.#greedy.reduce((bytes, token) => bytes + droppedBytes(text, token), 0);
    return Math.ceil(Math.max(0, this.#writtenBytes(text) - dropped) / this.#longest);
  }

  /** Bytes of a text that have tokens. */
  #writtenBytes(text: string): number {
    if (this.#missing.size === 0) return Buffer.byteLength(text);
    return Buffer.from(text).reduce((count, byte) => count + (this.#missing.has(byte) ? 0 : 1), 0);
  }
}

/**
 * Most bytes of white space that are dropped beside one token. Each place where its content stands is taken for the token: that drops too much
 * where it is not, and a lower bound may.
 */
function droppedBytes(text: string, { content, lstrip, rstrip }: AddedToken): number {
  let bytes = 0;
  let before = 0;
  let behind = 0;
  for (let at = text.indexOf(content); at >= 0; at = text.indexOf(content, at + 1)) {
    if (lstrip) bytes += Buffer.byteLength(text.slice(startOfSpace(text, at, before), at));
    before = at;
    if (!rstrip) continue;
    const from = Math.max(behind, at + content.length);
    behind = endOfSpace(text, from);
    bytes += Buffer.byteLength(text.slice(from, behind));
  }
  return bytes;
}

function startOfSpace(text: string, end: number, least: number): number {
  let start = end;
  while (start > least && isSpaceAt(text, start - 1)) start--;
  return start;
}

function endOfSpace(text: string, start: number): number {
  let end = start;
  while (end < text.length && isSpaceAt(text, end)) end++;
  return end;
}
