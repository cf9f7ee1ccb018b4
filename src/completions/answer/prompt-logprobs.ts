import type { ScoredToken } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import type { PromptLogprob, PromptLogprobs } from './schema.js';
import { tokenText } from './token-name.js';
import { firstOf } from './top-logprobs.js';

/** The least log-probability that is written, as in vLLM: JSON has no infinity. */
const LEAST = -9999;

/** An entry of `prompt_logprobs`: a token of the prompt and the best of its place, by id. Written out in JSON only, as `TopLogprobs`. */
class PlaceLogprobs {
  /** @param count best tokens that are written beside the token's own; it may have been scored with more */
  constructor(
    private readonly token: ScoredToken,
    private readonly count: number,
    private readonly tokenizer: TokenBytes,
  ) {}

  toJSON(): Record<string, PromptLogprob> {
    const { id, logprob, rank = 0, top } = this.token;
    const best = firstOf(top, this.count).map((token, i) => ({ ...token, rank: i + 1 }));
    return Object.fromEntries(
      [{ id, logprob, rank }, ...best].map((token) => [
        token.id,
        {
          logprob: Math.max(token.logprob, LEAST),
          rank: token.rank,
          decoded_token: tokenText(this.tokenizer.tokenBytes(token.id)),
        },
      ]),
    );
  }
}

/** Writes `prompt_logprobs` of one choice, as vLLM has them: for each token of the prompt, the first aside, its own entry and the best by id. */
export class PromptLogprobsWriter {
  /** So far; the first token has none. */
  readonly written: PromptLogprobs = [null];

  /** @param count best tokens beside each token's own; a token may have been scored with more */
  constructor(
    private readonly count: number,
    private readonly tokenizer: TokenBytes,
  ) {}

  /** Writes the next tokens. */
  write(tokens: readonly ScoredToken[]): void {
    this.written.push(...tokens.map((token) => new PlaceLogprobs(token, this.count, this.tokenizer)));
  }
}
