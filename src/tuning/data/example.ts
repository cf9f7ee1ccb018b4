/** A text, or the ids of its tokens. */
export type TextOrIds = string | readonly number[];

/** One source and its reference targets, each of which is learned. */
export interface TrainingExample {
  readonly source: TextOrIds;
  /** Whether a chat template wrote the source, with the special tokens that it wants; false unless given. */
  readonly isRendered?: boolean;
  readonly targets: readonly TextOrIds[];
  /** Texts that generated text is compared with, where they are not the targets. */
  readonly references?: readonly string[] | undefined;
  /** The kind of thing that the source is about; to hold kinds out. */
  readonly category?: string | undefined;
  /** File and line or entry, for errors. */
  readonly where?: string | undefined;
}

/** A source and one target in token ids; the target ends with the end token. */
export interface TokenExample {
  readonly source: readonly number[];
  /** Tokens that an encoder-decoder's decoder starts with, which are not learned; undefined or left out in a decoder-only model. */
  readonly start?: readonly number[] | undefined;
  readonly target: readonly number[];
}
