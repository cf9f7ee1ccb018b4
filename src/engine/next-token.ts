import { adjustLogits } from './adjustments.js';
import { scoreToken } from './logprobs.js';
import { changeRow, withoutTokens, type LogitsRow } from './logits-row.js';
import { uniform } from './random.js';
import type { FinishReason, TokenEvent } from './request.js';
import { numBestNeeded, sampleToken } from './sampler.js';
import type { Sequence } from './sequence.js';

/** How many of the best logits the next token of a sequence needs. */
export function numBestOf({ request }: Sequence, vocabularySize: number): number {
  return Math.min(vocabularySize, Math.max(numBestNeeded(request.sampling, vocabularySize), request.logprobs ?? 0));
}

/** Sends the log-probabilities of prompt tokens that follow the tokens of `rows`; the first of those is token `start`. */
export function emitPromptTokens({ request, events }: Sequence, start: number, rows: readonly LogitsRow[]): void {
  const { prompt, promptLogprobs = 0 } = request;
  const next = prompt.slice(start + 1, start + 1 + rows.length);
  const tokens = rows.flatMap((row, i) => next.slice(i, i + 1).map((id) => scoreToken(row, id, promptLogprobs)));
  if (tokens.length > 0) events.push({ type: 'prompt', tokens });
}

/** Chooses a sequence's next token, adds it, and sends what became certain; finishes the sequence when it was the last. */
export function emitNextToken(sequence: Sequence, row: LogitsRow): void {
  const { request, events } = sequence;
  if (request.maxTokens === 0) {
    finish(sequence, 'length');
    return;
  }
  const id = choose(sequence, row);
  sequence.tokens.push(id);
  const ends = sequence.endTokens.has(id);
  const text = ends ? '' : sequence.text.push(id, sequence.numGeneratedTokens > request.minTokens);
  const score = request.logprobs === undefined ? {} : scoreToken(row, id, request.logprobs);
  const event: TokenEvent = { type: 'token', id, text, ...score };
  events.push(event);
  if (ends || sequence.text.isStopped) finish(sequence, 'stop');
  else if (sequence.numGeneratedTokens >= request.maxTokens) finish(sequence, 'length');
}

/** Ends a sequence: its consumer gets what was held back. */
export function finish(sequence: Sequence, reason: FinishReason): void {
  if (sequence.status === 'finished') return;
  sequence.finishReason = reason;
  sequence.events.push({ type: 'finish', reason, text: sequence.text.end() });
}

function choose(sequence: Sequence, row: LogitsRow): number {
  const { request, seed, numGeneratedTokens } = sequence;
  const { sampling, choice } = request;
  return sampleToken(adjust(sequence, allow(sequence, row)), sampling, uniform(seed, choice, numGeneratedTokens));
}

/** The row without end tokens while the sequence may not end. */
function allow({ request, endTokens, numGeneratedTokens }: Sequence, row: LogitsRow): LogitsRow {
  const mayEnd = numGeneratedTokens >= request.minTokens || endTokens.size === 0;
  return mayEnd ? row : withoutTokens(row, endTokens, request.sampling.temperature);
}

function adjust(sequence: Sequence, row: LogitsRow): LogitsRow {
  const { adjustments, temperature } = sequence.request.sampling;
  if (adjustments === undefined) return row;
  return changeRow(row, temperature, (logits) => adjustLogits(logits, adjustments, sequence));
}
