/** What a text stream needs of a tokenizer. */
export interface TokenBytes {
  /** The bytes that a token stands for; empty for an id that is no token. */
  tokenBytes(id: number): Uint8Array;
}

/**
 * Turns tokens into text as they come and never emits half a character: the texts of all calls, `end` included, joined are the
 * tokens' decoded text. Bytes that are no UTF-8 become U+FFFD.
 */
export class TextStream {
  // Hugging Face keeps a byte order mark, so it is no mark here.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly tokenizer: TokenBytes) {}

  /** The text that becomes certain with this token; empty while a character is incomplete. */
  push(id: number): string {
    return this.#decoder.decode(this.tokenizer.tokenBytes(id), { stream: true });
  }

  /** What an incomplete last character becomes. The stream is then as new. */
  end(): string {
    return this.#decoder.decode();
  }
}
