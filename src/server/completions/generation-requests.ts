import type { TenantShare } from '../../engine/policy/fair-share.js';
import type { SequenceObserver } from '../../engine/observer.js';
import type { GenerationRequest, RequestPrefix, SamplingParams } from '../../engine/request.js';
import { ApiError } from '../errors.js';
import type { CompletionParams } from './params.js';
import { toSamplingParams } from './sampling-params.js';
import { refuseUnknownIds } from './token-ids.js';

/** What a request's sequences share beside its parameters. */
export interface RequestScope {
  readonly tenant: string;
  /** As in `GenerationRequest`. */
  readonly tenantCreated?: number | null | undefined;
  /** The tenant's part of the engine; the whole of it unless given. */
  readonly share?: TenantShare | undefined;
  readonly prefix: RequestPrefix | undefined;
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** As in `GenerationRequest`. */
  readonly observe?: (() => SequenceObserver) | undefined;
}

/**
 * One sequence for each choice: the `bestOf` choices of the first prompt, then those of the second, and so on. A sequence draws from
 * the random stream of its place among them, so a prompt gets the same choices alone and in an array. Those of equal prompts are
 * siblings, which share its keys and values.
 */
export function toGenerationRequests(
  params: CompletionParams,
  prompts: readonly number[][],
  scope: RequestScope,
): GenerationRequest[] {
  refuseImpossible(params, prompts, scope);
  const sampling = toSamplingParams(params, scope.vocabularySize);
  const siblings = nameSiblings(prompts);
  return prompts.flatMap((prompt, index) =>
    Array.from({ length: params.bestOf }, (_, choice) => ({
      ...toGenerationRequest(params, prompt, sampling, scope),
      choice,
      siblings: siblings[index],
    })),
  );
}

/** One symbol for each prompt, the same for equal ones; no other call returns them. */
export function nameSiblings(prompts: readonly number[][]): symbol[] {
  const symbols = new Map<string, symbol>();
  return prompts.map((prompt) => {
    const key = prompt.join();
    const symbol = symbols.get(key) ?? Symbol('siblings');
    symbols.set(key, symbol);
    return symbol;
  });
}

function toGenerationRequest(
  params: CompletionParams,
  prompt: readonly number[],
  sampling: SamplingParams,
  { tenant, tenantCreated, share, prefix, observe }: RequestScope,
): Omit<GenerationRequest, 'choice' | 'siblings'> {
  const { maxTokens, minTokens, stop, stopTokenIds, ignoreEos, logprobs, echo, n, bestOf } = params;
  return {
    tenant,
    tenantCreated,
    share,
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
    observe,
  };
}

/**
 * @param prompts how many there are
 * @param maxChoices that one request may have generated
 * @throws ApiError when the request has more
 */
export function refuseTooManyChoices({ n, bestOf }: CompletionParams, prompts: number, maxChoices: number): void {
  if (prompts * bestOf <= maxChoices) return;
  const field = bestOf > n ? 'best_of' : 'n';
  const param = prompts > maxChoices ? 'prompt' : field;
  const message = `${prompts} prompts with '${field}' ${bestOf} are more than ${maxChoices} choices, the limit of one request.`;
  throw new ApiError('invalid_value', message, { param });
}

/** @throws ApiError when a prompt and what is to be generated do not fit the context, or a token that ends it cannot come */
export function refuseImpossible(params: CompletionParams, prompts: readonly number[][], scope: RequestScope): void {
  refuseTooLong(params, prompts, scope);
  refuseUnknownIds('stop_token_ids', params.stopTokenIds, scope.vocabularySize);
}

function refuseTooLong(
  { maxTokens }: CompletionParams,
  prompts: readonly number[][],
  { prefix, contextLength }: RequestScope,
): void {
  const virtual = prefix?.kv.length ?? 0;
  const room = contextLength - virtual - maxTokens;
  const tooLong = prompts.find(({ length }) => length > room);
  if (!tooLong) return;
  const message =
    `The model's context is ${contextLength} tokens, but this request asks for ${virtual + tooLong.length + maxTokens}: ` +
    `${virtual} of the prefix, ${tooLong.length} of the prompt and ${maxTokens} to generate ('max_tokens').`;
  throw new ApiError('context_length_exceeded', message, { param: 'prompt' });
}
