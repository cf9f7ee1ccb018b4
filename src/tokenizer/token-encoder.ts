import type { TokenBytes } from './text-stream.js';

/** Text to token ids, special tokens parsed and none added. */
export interface TokenEncoder {
  /** Why no text can be encoded; undefined or left out: every text can. */
  readonly textProblem?: string | undefined;
  /** Not to be called with a `textProblem`. */
  encode(text: string): number[];
  /** As `encode`, of a text that goes on from another, so that nothing is put before it; `encode` unless given. */
  encodeContinuation?(text: string): number[];
  /** Whether some token goes on from a word into the space behind it; false unless given. */
  readonly joinsWords?: boolean;
  /** The fewest tokens that `encode` can return for the text. Quick, however long the text is. */
  minTokens(text: string): number;
}

/** Text to the token ids that a model begins with. */
export interface PromptEncoder extends TokenEncoder {
  /** Whether a decoder-only model's prompt is encoded by `encodeSource` too, unless a request says otherwise; false unless given. */
  readonly specialTokensInPrompts?: boolean;
  /** As `encode`, with the special tokens that the tokenizer puts around a text: what an encoder reads. */
  encodeSource(text: string): number[];
}

/** Token ids of a text that a decoder-only model begins with. */
export function encodePrompt(encoder: PromptEncoder, text: string): number[] {
  return encoder.specialTokensInPrompts === true ? encoder.encodeSource(text) : encoder.encode(text);
}

/** All that is asked of a model's tokenizer. */
export interface ModelTokenizer extends PromptEncoder, TokenBytes {
  /** The text of token ids. */
  decode(ids: readonly number[]): string;
}
