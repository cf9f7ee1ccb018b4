/** Text to token ids, special tokens parsed and none added. */
export interface TokenEncoder {
  encode(text: string): number[];
  /** The fewest tokens that `encode` can return for the text. Quick, however long the text is. */
  minTokens(text: string): number;
}
