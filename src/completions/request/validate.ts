import { CompletionError, invalidValue } from '../errors.js';
import { refuseWrongBlend } from './blend.js';
import { makeBodyCheck } from './body-check.js';
import { CompletionRequest } from './schema.js';

/**
 * A body as a completion request, whose fields are valid each and together.
 * @throws CompletionError that names the field at fault
 */
export type RequestCheck = (body: unknown) => CompletionRequest;

let loading: Promise<RequestCheck> | undefined;

/** The check of requests, made at the first call. */
export function loadRequestCheck(): Promise<RequestCheck> {
  return (loading ??= makeRequestCheck());
}

async function makeRequestCheck(): Promise<RequestCheck> {
  const checkFields = await makeBodyCheck(CompletionRequest);
  return (body) => {
    const request = checkFields(body);
    refuseContradictory(request);
    return request;
  };
}

/** @throws CompletionError for what is not supported, and for fields that are not valid together */
export function refuseContradictory(request: CompletionRequest): void {
  refuseUnsupported(request);
  refuseContradictions(request);
}

function refuseUnsupported({ suffix, stream_options: options, priority }: CompletionRequest): void {
  const refuse = (param: string, advice = 'leave it out'): never => {
    throw new CompletionError('unsupported_parameter', `'${param}' is not supported; ${advice}.`, { param });
  };
  if ((suffix ?? undefined) !== undefined) refuse('suffix');
  if (options?.include_obfuscation) refuse('stream_options.include_obfuscation');
  if ((priority ?? 0) !== 0) refuse('priority', 'requests wait by tenant, not by priority: send 0 or leave it out');
}

function refuseContradictions(body: CompletionRequest): void {
  refuseWrongBlend(body);
  if (body.use_beam_search) refuseBesideBeams(body);
  else refuseWithoutBeams(body);
  refuseBestOf(body);
  refuseBesideStream(body);
  refuseTwoLimits(body);
}

function refuseBesideStream({ stream, stream_options: options, prompt_logprobs: scores }: CompletionRequest): void {
  if (options && !stream) throw invalidValue('stream_options', `'stream_options' needs 'stream' to be true.`);
  if (options?.continuous_usage_stats && !options.include_usage) {
    const field = 'stream_options.continuous_usage_stats';
    throw invalidValue(field, `'${field}' needs 'stream_options.include_usage' to be true.`);
  }
  if (stream && (scores ?? undefined) !== undefined)
    throw invalidValue('prompt_logprobs', `'prompt_logprobs' cannot be streamed: leave it out, or 'stream'.`);
}

function refuseTwoLimits({ max_tokens: limit, max_completion_tokens: other }: CompletionRequest): void {
  if (typeof limit !== 'number' || typeof other !== 'number' || limit === other) return; // null is not given
  const message = `'max_completion_tokens' is another name of 'max_tokens', and they differ: send one of them.`;
  throw invalidValue('max_completion_tokens', message);
}

/** Which choices are best is known when all are whole, so there is nothing to stream. */
function refuseBestOf({ n, best_of: bestOf, stream }: CompletionRequest): void {
  const choices = n ?? 1;
  if ((bestOf ?? choices) < choices)
    throw invalidValue('best_of', `'best_of' must be at least 'n', which is ${choices}.`);
  if (stream && (bestOf ?? choices) > choices) throw invalidValue('best_of', `'best_of' above 'n' cannot be streamed.`);
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
  seed: [],
};

function refuseWithoutBeams({ length_penalty: penalty, early_stopping: early }: CompletionRequest): void {
  const refuse = (field: string): never => {
    throw invalidValue(field, `'${field}' needs 'use_beam_search' to be true.`);
  };
  if ((penalty ?? 1) !== 1) refuse('length_penalty');
  if (early ?? false) refuse('early_stopping');
}

function refuseBesideBeams(body: CompletionRequest): void {
  const refuse = (field: string, allowed: string): never => {
    throw invalidValue(field, `With 'use_beam_search', '${field}' must be ${allowed}.`);
  };
  for (const [field, values] of Object.entries(neutral)) {
    const value = body[field as keyof CompletionRequest] ?? values[0];
    if (value === undefined || values.some((one) => one === value)) continue;
    refuse(field, values.length > 0 ? `${String(values[0])} or left out` : 'left out');
  }
  if ([body.stop ?? []].flat().length > 0) refuse('stop', 'left out');
  if (Object.keys(body.logit_bias ?? {}).length > 0) refuse('logit_bias', 'left out');
  for (const field of ['max_tokens', 'max_completion_tokens'] as const)
    if (body[field] === 0) refuse(field, 'at least 1');
}
