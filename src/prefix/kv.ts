/** Keys and values of virtual tokens, in the layout that PEFT writes. Immutable; shared by every request that uses it. */
export interface PrefixKv {
  /** Number of virtual tokens P. */
  readonly length: number;
  /** `[P, layers * 2 * width]`: column block 2l is layer l's keys, 2l + 1 its values, head-major. */
  readonly rows: Float32Array;
}

/** What the prefix store must know of the frozen model that prefixes belong to. */
export interface BaseModel {
  /** The id in the API, and the name that an adapter's `base_model_name_or_path` should end in. */
  readonly id: string;
  /** Hex sha256 over weights, shape and tokenizer: a prefix belongs to exactly one. */
  readonly fingerprint: string;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
}

/** Runs input embeddings or tokens through the frozen model, once, at upload. */
export interface PrefixEncoder {
  /** Input embeddings `[P, width]` at positions 0 to P - 1 (PEFT's prompt tuning) to their keys and values. */
  encodeEmbeddings(embeddings: Float32Array, length: number): Promise<PrefixKv>;
  /** Token ids at positions 0 to P - 1 (a text prefix) to their keys and values. */
  encodeTokens(tokens: readonly number[]): Promise<PrefixKv>;
}
