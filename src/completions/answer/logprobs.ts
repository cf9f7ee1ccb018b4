import type { TokenList } from '../../engine/request.js';
import { TextStream, type TokenBytes } from '../../tokenizer/text-stream.js';
import type { Logprobs } from './schema.js';
import { tokenName } from './token-name.js';
import { TopLogprobs } from './top-logprobs.js';

/** A token and its log-probability, which is null for the first token of a prompt. */
export interface WrittenToken {
  readonly id: number;
  readonly logprob?: number | null;
  readonly top?: TokenList;
}

/**
 * Writes one choice's log-probabilities, token by token. It remembers where in the text the next token starts; a token that
 * continues a character starts where that character does.
 */
export class LogprobsWriter {
  #text: TextStream;
  #offset = 0;

  /**
   * @param skipsSpecial whether special tokens that are generated have no text, as of `TokenBytes.textBytes`
   * @param isEcho whether the text begins with the prompt, whose special tokens are as the tokenizer has them
   */
  constructor(
    private readonly tokenizer: TokenBytes,
    private readonly skipsSpecial?: boolean,
    isEcho = false,
  ) {
    this.#text = isEcho ? new TextStream(tokenizer, undefined, true) : new TextStream(tokenizer, skipsSpecial);
  }

  /**
   * Writes the next token. To be called for every token, in order.
   * @param count best tokens that are written beside its own: all that it was scored with unless given
   */
  write(token: WrittenToken, count = Infinity): Logprobs {
    const { id, logprob = 0 } = token;
    const entry = {
      tokens: [tokenName(id, this.tokenizer)],
      token_logprobs: [logprob],
      top_logprobs: [logprob === null ? null : new TopLogprobs(token, count, this.tokenizer)],
      text_offset: [this.#offset],
    };
    this.#offset += this.#text.push(id).length;
    return entry;
  }

  /** Ends one text and begins another: half a character of the prompt is no part of what is generated. */
  endText(): void {
    this.#offset += this.#text.end().length;
    this.#text = new TextStream(this.tokenizer, this.skipsSpecial);
  }
}

/** Log-probabilities of no tokens, to append to. */
export function noLogprobs(): Logprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

/** Appends what was written for one more token. */
export function appendLogprobs(to: Logprobs, from: Logprobs): void {
  to.tokens.push(...from.tokens);
  to.token_logprobs.push(...from.token_logprobs);
  to.top_logprobs.push(...from.top_logprobs);
  to.text_offset.push(...from.text_offset);
}
