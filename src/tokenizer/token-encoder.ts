import type { TokenBytes } from './text-stream.js';

/** Text to token ids, special tokens parsed and none added. */
export interface TokenEncoder {
  /** Why no text can be encoded; undefined or left out: every text can. */
  readonly textProblem?: string | undefined;
  /** Not to be called with a `textProblem`. */
  encode(text: string): number[];
  /** The fewest tokens that `encode` can return for the text. Quick, however long the text is. */
  minTokens(text: string): number;
}

/** Text to the token ids that a model begins with. */
export interface PromptEncoder extends TokenEncoder {
  /** As `encode`, with the special tokens that the tokenizer puts around a text: what an encoder reads. */
  encodeSource(text: string): number[];
}

/** All that is asked of a model's tokenizer. */
export interface ModelTokenizer extends PromptEncoder, TokenBytes {
  /** The text of token ids. */
  decode(ids: readonly number[]): string;
}
