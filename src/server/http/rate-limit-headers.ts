import { formatDuration } from '../../lib/format-duration.js';
import type { Admission, Allowance } from '../../tenancy/rate-limiter.js';

/** OpenAI's `x-ratelimit-*` headers: the limits, what remains of them, and when they are full again. */
export function rateLimitHeaders({ requests, tokens }: Pick<Admission, 'requests' | 'tokens'>): Record<string, string> {
  return { ...headersOf('requests', requests), ...headersOf('tokens', tokens) };
}

/**
 * Headers that OpenAI's clients obey: they retry after that time, or not at all.
 * @param retryAfterMs undefined: the request never passes
 */
export function retryHeaders(retryAfterMs: number | undefined): Record<string, string> {
  if (retryAfterMs === undefined) return { 'x-should-retry': 'false' };
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}

function headersOf(kind: 'requests' | 'tokens', allowance: Allowance | undefined): Record<string, string> {
  if (!allowance) return {};
  return {
    [`x-ratelimit-limit-${kind}`]: String(allowance.limit),
    [`x-ratelimit-remaining-${kind}`]: String(allowance.remaining),
    [`x-ratelimit-reset-${kind}`]: formatDuration(allowance.resetMs),
  };
}
