import type { TokenList, TokenLogprob } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import { tokenName } from './token-name.js';

/** A token, its log-probability, and the best of its place. */
interface Place {
  readonly id: number;
  readonly logprob?: number | null;
  readonly top?: TokenList;
}

/**
 * An entry of `top_logprobs`: the best log-probabilities of a token's place, the token's own among them, by the tokens' names, best
 * first. It has names only in JSON: until an answer is sent, each of its tokens is but a view of what the engine scored.
 */
export class TopLogprobs {
  /** @param count best tokens that are written beside the token's own; it may have been scored with more */
  constructor(
    private readonly place: Place,
    private readonly count: number,
    private readonly tokenizer: TokenBytes,
  ) {}

  /** The token itself may be among the best; of tokens with one name, the first is written. */
  toJSON(): Record<string, number> {
    const { id, logprob, top = [] } = this.place;
    const entries = new Map<string, number>();
    for (const one of [...firstOf(top, this.count), { id, logprob: logprob ?? 0 }]) {
      const name = tokenName(one.id, this.tokenizer);
      if (!entries.has(name)) entries.set(name, one.logprob);
    }
    return Object.fromEntries(entries);
  }
}

/** The first `count` tokens of a list. */
export function firstOf(tokens: TokenList, count: number): TokenLogprob[] {
  return [...tokens].slice(0, count);
}
