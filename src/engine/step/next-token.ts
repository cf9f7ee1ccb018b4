import { adjustLogits } from '../sampling/adjustments.js';
import { bannedTokens, bansGrow, forcedToken } from '../sampling/bans.js';
import type { Hypothesis } from '../beams/beam-search.js';
import { rankToken, scoreForced, scoreToken } from '../sampling/logprobs.js';
import { changeRow, type DrawnRow, type LogitsRow, withoutTokens } from '../sampling/logits-row.js';
import { uniform } from '../sampling/random.js';
import type { FinishReason } from '../finish-reason.js';
import type { TokenEvent } from '../request.js';
import { numBestNeeded, sampleToken } from '../sampling/sampler.js';
import { BEST } from '../sampling/distribution.js';
import type { Sequence } from '../sequence.js';

/** Number of best logits that the next token of a sequence needs, and those behind the tokens of a draft. */
export function numBestOf(sequence: Sequence, vocabularySize: number, draft: readonly number[] = []): number {
  const { request, group } = sequence;
  const numBest = group
    ? group.numBestOf(sequence)
    : numBestNeeded(request.sampling, vocabularySize) + numBannedOf(sequence, draft);
  return Math.min(vocabularySize, Math.max(numBest, request.logprobs ?? 0));
}

/**
 * Sends the log-probabilities of prompt tokens that follow the tokens of `rows`, where they were not sent before.
 * @param start index of the token that the first row is of
 */
export function emitPromptTokens(sequence: Sequence, start: number, rows: readonly LogitsRow[]): void {
  const { prompt, promptLogprobs = 0, promptRanks = false } = sequence.request;
  const score = promptRanks ? rankToken : scoreToken;
  const numSent = sequence.promptScores.length;
  const next = prompt.slice(start + 1, start + 1 + rows.length);
  sequence.sendPromptScores(
    rows.flatMap((row, i) => {
      const id = next[i];
      return id === undefined || start + i < numSent ? [] : score(row, id, promptLogprobs);
    }),
  );
}

/** Chooses a sequence's next token, adds it, and sends what became certain; finishes the sequence when it was the last. */
export function emitNextToken(sequence: Sequence, row: LogitsRow): void {
  const { request, events } = sequence;
  if (request.maxTokens === 0) {
    finish(sequence, 'length');
    return;
  }
  const forced = forcedToken(sequence);
  const id = forced ?? choose(sequence, row);
  sequence.tokens.push(id);
  const ends = sequence.endTokens.has(id);
  const mayStop = sequence.numGeneratedTokens > request.minTokens;
  const text = ends ? sequence.text.pushEnd(id) : sequence.text.push(id, mayStop);
  const { logprobs } = request;
  const score =
    logprobs === undefined ? {} : forced === undefined ? scoreToken(row, id, logprobs) : scoreForced(id, logprobs);
  const event: TokenEvent = { type: 'token', id, text, ...score };
  events.push(event);
  if (ends || sequence.text.isStopped) finish(sequence, 'stop');
  else if (sequence.numGeneratedTokens >= request.maxTokens) finish(sequence, 'length');
}

/** Sends a whole hypothesis of a beam search. */
export function emitHypothesis(sequence: Sequence, { tokens, reason, score }: Hypothesis): void {
  for (const token of tokens) {
    const ends = sequence.endTokens.has(token.id);
    const text = ends ? sequence.text.pushEnd(token.id) : sequence.text.push(token.id, false);
    sequence.events.push({ type: 'token', text, ...token });
  }
  finish(sequence, reason, score);
}

/** Ends a sequence: its consumer gets what was held back. */
export function finish(sequence: Sequence, reason: FinishReason, score?: number): void {
  if (sequence.status === 'finished') return;
  sequence.end(reason);
  const text = sequence.text.end();
  const { numCachedTokens: cachedTokens = 0 } = sequence;
  sequence.events.push({
    type: 'finish',
    reason,
    text,
    ...(score !== undefined && { score }),
    ...(cachedTokens > 0 && { cachedTokens }),
  });
}

function choose(sequence: Sequence, row: DrawnRow): number {
  const { request, seed, numGeneratedTokens } = sequence;
  const { sampling, choice } = request;
  const banned = bannedTokens(sequence);
  if (isGreedy(sequence) && banned.size > 0) {
    const best = row.bestIds.find((id) => !banned.has(id));
    if (best !== undefined) return best;
  }
  const allowed = banned.size === 0 ? row : withoutTokens(row, banned, sampling.temperature);
  return sampleToken(adjust(sequence, allowed), sampling, uniform(seed, choice, numGeneratedTokens));
}

/** Best logits beyond the first that a greedy token needs: the rest of the row is read only where more are banned. */
function numBannedOf(sequence: Sequence, draft: readonly number[]): number {
  if (!isGreedy(sequence)) return 0;
  const { tokens, numGeneratedTokens, endTokens, request } = sequence;
  const behind = bansGrow(request) ? draft : [];
  const sizes = behind.map((_, i) => {
    const after = [...tokens, ...behind.slice(0, i + 1)];
    return bannedTokens({ tokens: after, numGeneratedTokens: numGeneratedTokens + i + 1, endTokens, request }).size;
  });
  return Math.min(Math.max(bannedTokens(sequence).size, ...sizes), BEST);
}

/** Whether the best token that is not banned comes next. */
function isGreedy({ request: { sampling } }: Sequence): boolean {
  return sampling.temperature === 0 && sampling.adjustments === undefined;
}

function adjust(sequence: Sequence, row: DrawnRow): DrawnRow {
  const { adjustments, temperature } = sequence.request.sampling;
  if (adjustments === undefined) return row;
  return changeRow(row, temperature, (logits) => adjustLogits(logits, adjustments, sequence));
}
