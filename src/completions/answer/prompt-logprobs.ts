import type { ScoredToken } from '../../engine/request.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import { tokenText } from './logprobs.js';
import type { PromptLogprobs } from './schema.js';

type Entry = NonNullable<PromptLogprobs[number]>;

/** What is written of a scored token, once for all choices of its prompt. */
const writtenEntries = new WeakMap<ScoredToken, Entry>();

/** The least log-probability that is written, as in vLLM: JSON has no infinity. */
const LEAST = -9999;

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
    for (const token of tokens) {
      const entry = writtenEntries.get(token) ?? this.#entryOf(token);
      writtenEntries.set(token, entry);
      this.written.push(entry);
    }
  }

  #entryOf({ id, logprob, rank = 0, top }: ScoredToken): Entry {
    const best = top.slice(0, this.count).map((token, i) => ({ ...token, rank: i + 1 }));
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
