import type { GenerationRequest, RequestPrefix } from '../../engine/request.js';
import { ApiError } from '../errors.js';
import type { CompletionParams } from './params.js';

/** What a request's sequences share beside its parameters. */
export interface RequestScope {
  readonly tenant: string;
  readonly prefix: RequestPrefix | undefined;
  readonly contextLength: number;
  /** Choices that one request may have. */
  readonly maxChoices: number;
}

/**
 * One sequence for each choice: the `n` choices of the first prompt, then those of the second, and so on. A sequence draws from
 * the random stream of its place within `n`, so a prompt gets the same choices alone and in an array.
 */
export function toGenerationRequests(
  params: CompletionParams,
  prompts: readonly number[][],
  scope: RequestScope,
): GenerationRequest[] {
  refuseTooManyChoices(params, prompts, scope);
  for (const prompt of prompts) refuseTooLong(params, prompt, scope);
  return prompts.flatMap((prompt) =>
    Array.from({ length: params.n }, (_, choice) => toGenerationRequest(params, prompt, choice, scope)),
  );
}

function toGenerationRequest(
  params: CompletionParams,
  prompt: readonly number[],
  choice: number,
  { tenant, prefix }: RequestScope,
): GenerationRequest {
  const { temperature, topP, topK, seed } = params;
  const { maxTokens, minTokens, stop, stopTokenIds, ignoreEos, logprobs } = params;
  return {
    tenant,
    prompt,
    prefix,
    sampling: { temperature, topP, topK, seed },
    choice,
    maxTokens,
    minTokens,
    stop,
    stopTokenIds,
    ignoreEos,
    logprobs,
  };
}

function refuseTooManyChoices(
  { n }: CompletionParams,
  prompts: readonly number[][],
  { maxChoices }: RequestScope,
): void {
  if (prompts.length * n <= maxChoices) return;
  const param = prompts.length > maxChoices ? 'prompt' : 'n';
  const message = `${prompts.length} prompts with 'n' ${n} are more than ${maxChoices} choices, the limit of one request.`;
  throw new ApiError('invalid_value', message, { param });
}

function refuseTooLong({ maxTokens }: CompletionParams, prompt: readonly number[], scope: RequestScope): void {
  const virtual = scope.prefix?.kv.length ?? 0;
  const total = virtual + prompt.length + maxTokens;
  if (total <= scope.contextLength) return;
  const message =
    `The model's context is ${scope.contextLength} tokens, but this request asks for ${total}: ` +
    `${virtual} of the prefix, ${prompt.length} of the prompt and ${maxTokens} to generate ('max_tokens').`;
  throw new ApiError('context_length_exceeded', message, { param: 'prompt' });
}
