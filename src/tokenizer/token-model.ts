import type { AddedToken } from './added-tokens.js';
import type { SizeBounds } from './token-bound.js';

/** A BPE behind the pre-tokenizer: what the kinds of tokenizer differ in. */
export interface TokenModel {
  /** The largest id of the vocabulary, added tokens left out. */
  readonly largestId: number;
  /** Spaces that a whole text loses at its beginning when it is decoded: those that the tokenizer put there. */
  readonly leadingSpaces: number;
  /** Whether some token goes on from a word into the space behind it, so that a text cannot be cut there. */
  readonly joinsWords: boolean;
  /** How long texts and tokens are, for a lower bound on a text's tokens. */
  readonly sizes: SizeBounds;
  /** The id of a token of the vocabulary, as the vocabulary writes it. */
  idOf(token: string): number | undefined;
  /** Appends the ids of pieces that the pre-tokenizer cut, in order. */
  encode(pieces: readonly string[], ids: number[]): void;
  /** The bytes that a token of the vocabulary stands for; empty for an unknown id. */
  bytesOf(id: number): Uint8Array;
  /** The bytes of an added token. */
  addedBytes(content: string): Uint8Array;
  /** Ids of tokens that are not named by their bytes, because another token is that has the same. */
  namesakes(added: readonly AddedToken[]): ReadonlySet<number>;
}
