import type { Admission, Allowance, Refusal } from '../../tenancy/rate-limiter.js';
import { ApiError } from '../errors.js';

/** OpenAI's `x-ratelimit-*` headers: the limits, what remains of them, and when they are full again. */
export function rateLimitHeaders({ requests, tokens }: Admission): Record<string, string> {
  return { ...headersOf('requests', requests), ...headersOf('tokens', tokens) };
}

/**
 * The error for a request that a rate limit refuses.
 * @param tokens number of tokens that the request asked for
 */
export function toRateLimitError(admission: Admission, { by, retryAfter }: Refusal, tokens: number): ApiError {
  const limit = admission[by]?.limit ?? 0;
  const reached = `Rate limit reached: ${limit} ${by} a minute.`;
  const asked = by === 'tokens' ? ` This request asks for ${tokens}, prompt and 'max_tokens' together.` : '';
  const advice = retryAfter === undefined ? 'It can never pass.' : `Try again in ${formatDuration(retryAfter)}.`;
  return new ApiError('rate_limit_exceeded', `${reached}${asked} ${advice}`, {
    type: by,
    headers: { ...rateLimitHeaders(admission), ...retryHeaders(retryAfter) },
  });
}

/** Milliseconds as OpenAI writes them: `6ms`, `1.5s`, `6m0s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const minutes = Math.floor(milliseconds / 60_000);
  const seconds = `${(milliseconds % 60_000) / 1000}s`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** OpenAI's clients obey both headers: they retry after that time, or not at all. */
function retryHeaders(retryAfter: number | undefined): Record<string, string> {
  if (retryAfter === undefined) return { 'x-should-retry': 'false' };
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfter / 1000))) };
}

function headersOf(kind: 'requests' | 'tokens', allowance: Allowance | undefined): Record<string, string> {
  if (!allowance) return {};
  return {
    [`x-ratelimit-limit-${kind}`]: String(allowance.limit),
    [`x-ratelimit-remaining-${kind}`]: String(allowance.remaining),
    [`x-ratelimit-reset-${kind}`]: formatDuration(allowance.reset),
  };
}
