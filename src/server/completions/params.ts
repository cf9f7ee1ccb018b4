import { ApiError } from '../errors.js';
import type { CompletionRequest } from '../schemas/completion.js';

/** A completion request with every default filled in; its limits are checked. */
export interface CompletionParams {
  readonly model: string;
  readonly prompt: CompletionRequest['prompt'];
  readonly n: number;
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly logprobs: number | undefined;
  readonly returnTokenIds: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Fields that are not there yet, with the values that ask for nothing. */
const notYet = {
  echo: (value: unknown) => value === false,
  suffix: () => false,
  presence_penalty: (value: unknown) => value === 0,
  frequency_penalty: (value: unknown) => value === 0,
  repetition_penalty: (value: unknown) => value === 1,
  min_p: (value: unknown) => value === 0,
  logit_bias: (value: unknown) => Object.keys(value as object).length === 0,
  best_of: (value: unknown, body: CompletionRequest) => value === (body.n ?? 1),
} satisfies Partial<Record<keyof CompletionRequest, (value: unknown, body: CompletionRequest) => boolean>>;

/** Reads a body that the schema has accepted. Null is "not given"; zero and false are values. */
export function readParams(body: CompletionRequest): CompletionParams {
  refuseNotYet(body);
  refuseContradictions(body);
  return {
    model: body.model,
    prompt: body.prompt,
    n: body.n ?? 1,
    maxTokens: body.max_tokens ?? 16,
    minTokens: body.min_tokens ?? 0,
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    topK: Math.max(0, body.top_k ?? 0),
    seed: body.seed ?? undefined,
    stop: [body.stop ?? []].flat(),
    stopTokenIds: body.stop_token_ids ?? [],
    ignoreEos: body.ignore_eos ?? false,
    logprobs: body.logprobs ?? undefined,
    returnTokenIds: body.return_token_ids ?? false,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

function refuseNotYet(body: CompletionRequest): void {
  for (const [field, isNeutral] of Object.entries(notYet)) {
    const value = body[field as keyof typeof notYet] ?? undefined;
    if (value === undefined || isNeutral(value, body)) continue;
    throw new ApiError('unsupported_parameter', `'${field}' is not supported yet; leave it out.`, { param: field });
  }
}

function refuseContradictions(body: CompletionRequest): void {
  const maxTokens = body.max_tokens ?? 16;
  if ((body.min_tokens ?? 0) > maxTokens) {
    throw new ApiError('invalid_value', `'min_tokens' must be at most 'max_tokens', which is ${maxTokens}.`, {
      param: 'min_tokens',
    });
  }
  if (body.stream_options && !body.stream) {
    throw new ApiError('invalid_value', `'stream_options' needs 'stream' to be true.`, { param: 'stream_options' });
  }
}
