import { randomUUID } from 'node:crypto';

import type { Engine } from '../../engine/engine.js';
import type { Generation, GenerationRequest } from '../../engine/request.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import type { CompletionRequest, Usage } from '../schemas/completion.js';
import { ChoiceWriter, type ChoiceOptions } from './choice.js';
import { toGenerationRequests } from './generation-requests.js';
import { readParams, type CompletionParams } from './params.js';
import { readPrompts, type Encoder } from './prompts.js';
import { resolvePrefix, type PrefixSource } from './resolve-prefix.js';

/** What completions need of the rest of the program. */
export interface CompletionDeps {
  readonly engine: Pick<Engine, 'submit'>;
  readonly tokenizer: Encoder & TokenBytes;
  readonly library: PrefixSource;
  readonly base: BaseModel;
  readonly maxChoices: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One choice of an admitted completion, returned or, with `best_of`, perhaps not. */
export interface RunningChoice {
  readonly generation: Generation;
  readonly writer: ChoiceWriter;
  readonly options: ChoiceOptions;
}

/** A completion whose sequences the engine has accepted, all of them. */
export interface Completion {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly params: CompletionParams;
  readonly choices: readonly RunningChoice[];
  /** Tokens so far. */
  readonly usage: () => Usage;
  readonly cancel: () => void;
}

/**
 * Checks a completion request, loads its prefix and submits its sequences. When `gone` aborts, they are cancelled.
 * @throws ApiError, EngineError or PrefixError; then nothing of the request is left in the engine.
 */
export async function startCompletion(
  deps: CompletionDeps,
  tenant: string,
  body: CompletionRequest,
  gone: AbortSignal,
): Promise<Completion> {
  const { tokenizer, base, maxChoices } = deps;
  const params = readParams(body);
  const prefix = await resolvePrefix(deps, tenant, params.model);
  const prompts = readPrompts(params.prompt, tokenizer, base.vocabularySize);
  const { contextLength, vocabularySize } = base;
  const scope = { tenant, prefix, contextLength, vocabularySize, maxChoices };
  const requests = toGenerationRequests(params, prompts, scope);
  gone.throwIfAborted();
  const generations = submitAll(deps.engine, requests);
  const completion = describe(deps, params, requests, generations, prefix?.kv.length ?? 0);
  gone.addEventListener('abort', () => completion.cancel(), { once: true });
  return completion;
}

/** All or none: a request that is refused half-way leaves nothing behind. */
function submitAll(engine: CompletionDeps['engine'], requests: readonly GenerationRequest[]): Generation[] {
  const generations: Generation[] = [];
  try {
    for (const request of requests) generations.push(engine.submit(request));
    return generations;
  } catch (error) {
    for (const generation of generations) generation.cancel();
    throw error;
  }
}

function describe(
  { tokenizer, now }: CompletionDeps,
  params: CompletionParams,
  requests: readonly GenerationRequest[],
  generations: readonly Generation[],
  virtualTokens: number,
): Completion {
  const choices = generations.map((generation, index) => {
    const prompt = requests[index]?.prompt;
    const options = {
      index,
      withLogprobs: params.logprobs !== undefined,
      promptTokenIds: params.returnTokenIds ? prompt : undefined,
      echo: params.echo ? prompt : undefined,
    };
    return { generation, options, writer: new ChoiceWriter(options, tokenizer) };
  });
  const prompts = requests.filter((_, index) => index % params.bestOf === 0);
  const promptTokens = prompts.reduce((sum, { prompt }) => sum + prompt.length, 0);
  return {
    id: `cmpl-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(now() / 1000),
    params,
    choices,
    usage: () => toUsage(promptTokens, virtualTokens * prompts.length, choices),
    cancel: () => generations.forEach((generation) => generation.cancel()),
  };
}

/** A prompt counts once however many choices it has, as OpenAI counts it; a generated token counts whether its choice is returned or not. */
function toUsage(promptTokens: number, prefixTokens: number, choices: readonly RunningChoice[]): Usage {
  const completionTokens = choices.reduce((sum, { writer }) => sum + writer.tokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { prefix_tokens: prefixTokens },
  };
}
