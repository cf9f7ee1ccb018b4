/** The part of a tokenizer that a text stream uses. */
export interface TokenBytes {
  /** The bytes of a token; empty for an unknown id. */
  tokenBytes(id: number): Uint8Array;
  /**
   * The bytes that a token adds to a text; those of the token unless given.
   * @param skipsSpecial whether special tokens add none; undefined: what the tokenizer does by itself
   */
  textBytes?(id: number, skipsSpecial?: boolean): Uint8Array;
  /** Whether the token has the bytes of another one that has a lower id; false unless given. */
  isNamesake?(id: number): boolean;
}

/**
 * Decodes tokens to text as they arrive, never emitting half a character. The results of all calls, `end` included,
 * concatenate to the decoded text. Invalid UTF-8 becomes U+FFFD.
 */
export class TextStream {
  // Hugging Face keeps a byte order mark as text, and so does this decoder.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** @param skipsSpecial as of `TokenBytes.textBytes` */
  constructor(
    private readonly tokenizer: TokenBytes,
    private readonly skipsSpecial?: boolean,
  ) {}

  /** Adds a token and returns the text that is now certain; empty while a character is incomplete. */
  push(id: number): string {
    const bytes = this.tokenizer.textBytes?.(id, this.skipsSpecial) ?? this.tokenizer.tokenBytes(id);
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** Ends the text: U+FFFD for an incomplete last character, else empty. The stream can then be reused. */
  end(): string {
    return this.#decoder.decode();
  }
}
