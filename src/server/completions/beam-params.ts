import { ApiError } from '../errors.js';
import type { CompletionRequest } from './schema.js';

/** What is particular to a beam search; its width is `bestOf`. */
export interface BeamParams {
  readonly lengthPenalty: number;
}

/** Fields that a beam search cannot honour, and the values at which they ask for nothing. */
const neutral: Partial<Record<keyof CompletionRequest, readonly (number | boolean)[]>> = {
  stream: [false],
  temperature: [0],
  top_p: [1],
  top_k: [0, -1],
  min_p: [0],
  presence_penalty: [0],
  frequency_penalty: [0],
  repetition_penalty: [1],
  min_tokens: [0],
  seed: [],
};

/**
 * Whether and how a request searches with beams.
 * @throws ApiError `invalid_value` that names a field which makes no sense with a beam search, or without one
 */
export function readBeams(body: CompletionRequest): BeamParams | undefined {
  const { use_beam_search: isSearch, length_penalty: lengthPenalty, max_tokens: maxTokens } = body;
  if (!isSearch) {
    if ((lengthPenalty ?? 1) === 1) return undefined;
    throw refuse('length_penalty', `'length_penalty' needs 'use_beam_search' to be true.`);
  }
  refuseExcluded(body);
  if (maxTokens === 0) throw refuse('max_tokens', `With 'use_beam_search', 'max_tokens' must be at least 1.`);
  return { lengthPenalty: lengthPenalty ?? 1 };
}

function refuseExcluded(body: CompletionRequest): void {
  for (const [field, values] of Object.entries(neutral)) {
    const value = body[field as keyof CompletionRequest] ?? values[0];
    if (values.some((one) => one === value) || value === undefined) continue;
    const allowed = values.length > 0 ? `must be ${String(values[0])} or left out` : 'must be left out';
    throw refuse(field, `With 'use_beam_search', '${field}' ${allowed}.`);
  }
  const { stop, logit_bias: bias } = body;
  if ([stop ?? []].flat().length > 0) throw refuse('stop', `With 'use_beam_search', 'stop' must be left out.`);
  if (Object.keys(bias ?? {}).length === 0) return;
  throw refuse('logit_bias', `With 'use_beam_search', 'logit_bias' must be left out.`);
}

function refuse(param: string, message: string): ApiError {
  return new ApiError('invalid_value', message, { param });
}
