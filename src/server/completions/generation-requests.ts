import type { GenerationRequest, RequestPrefix, SamplingParams } from '../../engine/request.js';
import { ApiError } from '../errors.js';
import type { CompletionParams } from './params.js';
import { toSamplingParams } from './sampling-params.js';

/** What a request's sequences share beside its parameters. */
export interface RequestScope {
  readonly tenant: string;
  readonly prefix: RequestPrefix | undefined;
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Choices that one request may have generated. */
  readonly maxChoices: number;
}

/**
 * One sequence for each choice: the `bestOf` choices of the first prompt, then those of the second, and so on. A sequence draws from
 * the random stream of its place among them, so a prompt gets the same choices alone and in an array.
 */
export function toGenerationRequests(
  params: CompletionParams,
  prompts: readonly number[][],
  scope: RequestScope,
): GenerationRequest[] {
  refuseTooManyChoices(params, prompts, scope);
  for (const prompt of prompts) refuseTooLong(params, prompt, scope);
  const sampling = toSamplingParams(params, scope.vocabularySize);
  return prompts.flatMap((prompt) =>
    Array.from({ length: params.bestOf }, (_, choice) => ({
      ...toGenerationRequest(params, prompt, sampling, scope),
      choice,
    })),
  );
}

function toGenerationRequest(
  params: CompletionParams,
  prompt: readonly number[],
  sampling: SamplingParams,
  { tenant, prefix }: RequestScope,
): Omit<GenerationRequest, 'choice'> {
  const { maxTokens, minTokens, stop, stopTokenIds, ignoreEos, logprobs, echo, n, bestOf } = params;
  return {
    tenant,
    prompt,
    prefix,
    sampling,
    maxTokens,
    minTokens,
    stop,
    stopTokenIds,
    ignoreEos,
    // The best of several are found by them.
    logprobs: logprobs ?? (bestOf > n ? 0 : undefined),
    ...(echo && { promptLogprobs: logprobs }),
  };
}

function refuseTooManyChoices(
  { n, bestOf }: CompletionParams,
  prompts: readonly number[][],
  { maxChoices }: RequestScope,
): void {
  if (prompts.length * bestOf <= maxChoices) return;
  const field = bestOf > n ? 'best_of' : 'n';
  const param = prompts.length > maxChoices ? 'prompt' : field;
  const message = `${prompts.length} prompts with '${field}' ${bestOf} are more than ${maxChoices} choices, the limit of one request.`;
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
