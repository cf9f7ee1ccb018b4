/** What a checkpoint asks of an encoder-decoder's generation, unless a request says otherwise. */
export interface GenerationConfig {
  /** Tokens that the decoder starts with, which are in no output. */
  readonly decoderStart: readonly number[];
  /** The first token generated; null: the model chooses. */
  readonly forcedBosTokenId: number | null;
  /** The token generated where the most tokens end a sequence; null: the model chooses. */
  readonly forcedEosTokenId: number | null;
  /** As `GenerationRequest.noRepeatNgramSize`. */
  readonly noRepeatNgramSize: number;
  /** Fewest generated tokens before an end token. */
  readonly minTokens: number;
  /** Most generated tokens; undefined: the checkpoint does not say. */
  readonly maxTokens: number | undefined;
}
