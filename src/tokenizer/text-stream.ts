/** The part of a tokenizer that a text stream uses. */
export interface TokenBytes {
  /** The bytes of a token; empty for an unknown id. */
  tokenBytes(id: number): Uint8Array;
  /**
   * The bytes that a token adds to a text; those of the token unless given.
   * @param skipsSpecial whether special tokens add none; undefined: what the tokenizer does by itself
   */
  textBytes?(id: number, skipsSpecial?: boolean): Uint8Array;
  /** Whether another token is named by the bytes of this one; false unless given. */
  isNamesake?(id: number): boolean;
  /** Spaces that a whole text loses at its beginning, because the tokenizer puts them there; 0 unless given. */
  readonly leadingSpaces?: number;
}

/**
 * Decodes tokens to text as they arrive, never emitting half a character. The results of all calls, `end` included,
 * concatenate to the decoded text. Invalid UTF-8 becomes U+FFFD.
 */
export class TextStream {
  // Hugging Face keeps a byte order mark as text, and so does this decoder.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Spaces to leave out, while nothing else has come. */
  #leadingSpaces: number;

  /**
   * @param skipsSpecial as of `TokenBytes.textBytes`
   * @param isWhole whether the text begins with the tokens, as a prompt does; what is generated goes on from one
   */
  constructor(
    private readonly tokenizer: TokenBytes,
    private readonly skipsSpecial?: boolean,
    private readonly isWhole = false,
  ) {
    this.#leadingSpaces = this.#spacesAtStart();
  }

  /** Adds a token and returns the text that is now certain; empty while a character is incomplete. */
  push(id: number): string {
    const bytes = this.tokenizer.textBytes?.(id, this.skipsSpecial) ?? this.tokenizer.tokenBytes(id);
    return this.#withoutLeading(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Ends the text: U+FFFD for an incomplete last character, else empty. The stream can then be reused. */
  end(): string {
    const text = this.#withoutLeading(this.#decoder.decode());
    this.#leadingSpaces = this.#spacesAtStart();
    return text;
  }

  #spacesAtStart(): number {
    return this.isWhole ? (this.tokenizer.leadingSpaces ?? 0) : 0;
  }

  #withoutLeading(text: string): string {
    if (this.#leadingSpaces === 0) return text;
    let start = 0;
    while (this.#leadingSpaces > 0 && text.charAt(start) === ' ') {
      start++;
      this.#leadingSpaces--;
    }
    if (start < text.length) this.#leadingSpaces = 0;
    return text.slice(start);
  }
}
