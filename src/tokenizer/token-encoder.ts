/** Text to token ids, special tokens parsed and none added. */
export interface TokenEncoder {
  encode(text: string): number[];
  /** The fewest tokens that `encode` can return for the text. Quick, however long the text is. */
  minTokens(text: string): number;
}

/** Text to the token ids that a model begins with. */
export interface PromptEncoder extends TokenEncoder {
  /** As `encode`, with the special tokens that the tokenizer puts around a text: what an encoder reads. */
  encodeSource(text: string): number[];
}
