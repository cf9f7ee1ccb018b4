import type { TokenLogprob } from '../../engine/request.js';
import { TextStream, type TokenBytes } from '../../tokenizer/text-stream.js';
import type { Logprobs } from './schema.js';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** By the bytes that a tokenizer has of a token, which are always the same array. */
const texts = new WeakMap<Uint8Array, string>();

/** A token as OpenAI writes it: its text, or `bytes:\xNN...` when its bytes are not whole characters. */
export function tokenText(bytes: Uint8Array): string {
  const known = texts.get(bytes);
  if (known !== undefined) return known;
  const text = decodeToken(bytes);
  texts.set(bytes, text);
  return text;
}

function decodeToken(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

/**
 * A token as `tokenText` writes it, and `token_id:N` where that would not tell it from another: a token without text, as there are in a vocabulary
 * that is padded, and one with the text of a token that has a lower id.
 */
function tokenName(id: number, tokenizer: TokenBytes): string {
  const bytes = tokenizer.tokenBytes(id);
  return bytes.length === 0 || tokenizer.isNamesake?.(id) ? `token_id:${id}` : tokenText(bytes);
}

/** A token and its log-probability, which is null for the first token of a prompt. */
export interface WrittenToken {
  readonly id: number;
  readonly logprob?: number | null;
  readonly top?: readonly TokenLogprob[];
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
    this.#text = new TextStream(tokenizer, isEcho ? undefined : skipsSpecial);
  }

  /**
   * Writes the next token. To be called for every token, in order.
   * @param top what `topOf` returns for the token, where it is known
   */
  write(token: WrittenToken, top = this.topOf(token)): Logprobs {
    const { id, logprob = 0 } = token;
    const entry = {
      tokens: [tokenName(id, this.tokenizer)],
      token_logprobs: [logprob],
      top_logprobs: [top],
      text_offset: [this.#offset],
    };
    this.#offset += this.#text.push(id).length;
    return entry;
  }

  /** The best log-probabilities of a token's place, the token's own among them; null where it has none. */
  topOf({ id, logprob = 0, top = [] }: WrittenToken): Record<string, number> | null {
    return logprob === null ? null : this.#byName([...top, { id, logprob }]);
  }

  /** Log-probabilities by the tokens' names, best first. The token itself may be among the best. */
  #byName(tokens: readonly TokenLogprob[]): Record<string, number> {
    const entries = new Map<string, number>();
    for (const { id, logprob } of tokens) {
      const name = tokenName(id, this.tokenizer);
      if (!entries.has(name)) entries.set(name, logprob);
    }
    return Object.fromEntries(entries);
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
