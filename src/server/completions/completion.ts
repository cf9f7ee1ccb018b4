import { randomUUID } from 'node:crypto';

import type { Generation } from '../../engine/request.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { RateLimiter } from '../../tenancy/rate-limiter.js';
import type { Caller } from '../../tenancy/tenancy.js';
import type { TokenBytes } from '../../tokenizer/text-stream.js';
import type { CompletionRequest, Usage } from './schema.js';
import { ChoiceWriter, type ChoiceOptions } from './choice.js';
import type { Exchange } from './exchange.js';
import { refuseTooManyChoices } from './generation-requests.js';
import { readParams, type CompletionParams } from './params.js';
import { readPrompts, splitPrompts, type Encoder } from './prompts.js';
import { Reservation } from './reservation.js';
import { resolvePrefix, type PrefixSource } from './resolve-prefix.js';
import { submitAll, toSubmissions, type CompletionEngine } from './submit.js';

/** What completions need of the rest of the program. */
export interface CompletionDeps {
  readonly engine: CompletionEngine;
  readonly tokenizer: Encoder & TokenBytes;
  readonly library: PrefixSource;
  readonly limiter: RateLimiter;
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
  /** What the tenant's rate limits say, for the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Gives back to the tenant's limits what was reserved and not used. To be called when the completion is over. */
  readonly settle: () => void;
}

/**
 * Checks a completion request, loads its prefix, takes its tokens from the tenant's limits and submits its sequences. When the
 * client is gone, they are cancelled.
 * @throws ApiError, EngineError or PrefixError; then nothing of the request is left in the engine.
 */
export async function startCompletion(
  deps: CompletionDeps,
  caller: Caller,
  body: CompletionRequest,
  { gone, trace, turns }: Exchange,
): Promise<Completion> {
  const { tokenizer, base, maxChoices } = deps;
  const { tenant, created: tenantCreated, limits } = caller;
  const share = { weight: limits.weight, queueShare: limits.queueShare ?? 1 };
  const params = readParams(body);
  const prefix = await resolvePrefix(deps, tenant, params.model, trace);
  const rawPrompts = splitPrompts(params.prompt);
  refuseTooManyChoices(params, rawPrompts.length, maxChoices);
  const { contextLength, vocabularySize } = base;
  const observe = trace && (() => trace.sequence());
  const scope = { tenant, tenantCreated, share, prefix, contextLength, vocabularySize, observe };
  const reservation = await Reservation.ofRequest(deps.limiter, caller);
  return reservation.during(async () => {
    const prompts = await readPrompts(rawPrompts, tokenizer, base, turns);
    const submissions = toSubmissions(deps.engine, params, prompts, scope);
    await reservation.takeTokens(params, prompts);
    gone.throwIfAborted();
    const generations = submitAll(submissions);
    const admitted = { prompts, generations, reservation, virtualTokens: prefix?.kv.length ?? 0 };
    const completion = describe(deps, params, admitted);
    gone.addEventListener('abort', () => completion.cancel(), { once: true });
    return completion;
  });
}

/** What the engine has accepted, and the limits have let in. */
interface Admitted {
  readonly prompts: readonly number[][];
  /** `bestOf` for each prompt. */
  readonly generations: readonly Generation[];
  readonly reservation: Reservation;
  readonly virtualTokens: number;
}

function describe(
  { tokenizer, now }: CompletionDeps,
  params: CompletionParams,
  { prompts, generations, reservation, virtualTokens }: Admitted,
): Completion {
  const choices = generations.map((generation, index) => {
    const prompt = prompts[Math.floor(index / params.bestOf)];
    const options = {
      index,
      withLogprobs: params.logprobs !== undefined,
      promptTokenIds: params.returnTokenIds ? prompt : undefined,
      echo: params.echo ? prompt : undefined,
    };
    return { generation, options, writer: new ChoiceWriter(options, tokenizer) };
  });
  const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const usage = (): Usage => toUsage(promptTokens, virtualTokens * prompts.length, choices, params.bestOf);
  return {
    id: `cmpl-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(now() / 1000),
    params,
    choices,
    usage,
    cancel: () => generations.forEach((generation) => generation.cancel()),
    headers: reservation.headers,
    settle: () => reservation.settle(usage().total_tokens),
  };
}

/**
 * A prompt counts once however many choices it has, as OpenAI counts it; a generated token counts whether its choice is returned or
 * not. Of a beam search those of the `bestOf` hypotheses count, and not those of beams that were dropped. Of a prompt's choices the
 * first finds it in the prompt cache, and others copy it.
 */
function toUsage(promptTokens: number, prefixTokens: number, choices: readonly RunningChoice[], bestOf: number): Usage {
  const cachedTokens = choices.reduce((sum, { writer }, i) => sum + (i % bestOf === 0 ? writer.cachedTokens : 0), 0);
  const completionTokens = choices.reduce((sum, { writer }) => sum + writer.tokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { prefix_tokens: prefixTokens, cached_tokens: cachedTokens },
  };
}
