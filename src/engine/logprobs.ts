import type { LogitsRow } from './logits-row.js';
import type { ScoredToken, TokenLogprob } from './request.js';

/** Natural log-probabilities of a token and of the `count` best, under the model itself: before temperature and truncation. */
export function scoreToken(row: LogitsRow, id: number, count: number): ScoredToken {
  const rank = row.bestIds.indexOf(id);
  const logit = (rank < 0 ? row.all()[id] : row.bestLogits[rank]) ?? -Infinity;
  const top = Array.from(row.bestIds.subarray(0, count), (best, i): TokenLogprob => {
    return { id: best, logprob: (row.bestLogits[i] ?? -Infinity) - row.lse };
  });
  return { id, logprob: logit - row.lse, top };
}
