import { BestTokens } from './best-tokens.js';
import type { LogitsRow } from './logits-row.js';
import type { ScoredToken } from '../request.js';

/** A token that comes whatever the model says: it alone is likely. @param count as of `scoreToken` */
export function scoreForced(id: number, count: number): ScoredToken {
  return { id, logprob: 0, top: count > 0 ? [{ id, logprob: 0 }] : [] };
}

/** Natural log-probabilities of a token and of the `count` best, under the model itself: before temperature and truncation. */
export function scoreToken(row: LogitsRow, id: number, count: number): ScoredToken {
  const rank = row.bestIds.indexOf(id);
  const logit = rank < 0 ? row.logit(id) : (row.bestLogits[rank] ?? -Infinity);
  return { id, logprob: logit - row.lse, top: new BestTokens(row, count) };
}

/** As `scoreToken`, with the token's rank. Reads the whole vocabulary, unless the token is among the row's best. */
export function rankToken(row: LogitsRow, id: number, count: number): ScoredToken {
  const place = row.bestIds.indexOf(id);
  return { ...scoreToken(row, id, count), rank: place < 0 ? countAtLeast(row.all(), row.logit(id)) : place + 1 };
}

/** As in vLLM, equal ones are counted with the token itself. */
function countAtLeast(logits: Float32Array, least: number): number {
  let count = 0;
  for (const logit of logits) if (logit >= least) count++;
  return count;
}
