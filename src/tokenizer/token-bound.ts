import type { AddedToken } from './added-tokens.js';
import { isSpaceAt } from './unicode.js';

/** How long texts and tokens are, in bytes of text. */
export interface SizeBounds {
  /** Most bytes of text that one token of the vocabulary can stand for. */
  readonly longest: number;
  /** Bytes of a text that tokens stand for: without those that have no token, and that texts lose. */
  readonly sizeOf: (text: string) => number;
}

/** A lower bound on the number of tokens of a text, for a BPE. */
export class TokenBound {
  readonly #longest: number;
  readonly #greedy: readonly AddedToken[];

  /** @param isExact false: a normalizer or a pre-tokenizer may drop any text, so the bound is 0 */
  constructor(
    private readonly sizes: SizeBounds,
    added: readonly AddedToken[],
    isExact: boolean,
  ) {
    const longest = added.reduce((most, { content }) => Math.max(most, Buffer.byteLength(content)), sizes.longest);
    this.#longest = isExact ? longest : Infinity;
    this.#greedy = added.filter(({ content, lstrip, rstrip }) => content !== '' && (lstrip || rstrip));
  }

  /** The bound for a text, in time that grows with its length and no faster. */
  minTokens(text: string): number {
    const dropped = this.#greedy.reduce((bytes, token) => bytes + droppedBytes(text, token), 0);
    return Math.ceil(Math.max(0, this.sizes.sizeOf(text) - dropped) / this.#longest);
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
