import { randomUUID } from 'node:crypto';

import type { GenerationConfig } from '../engine/generation-config.js';
import type { Generation } from '../engine/request.js';
import type { BaseModel } from '../prefix/kv.js';
import type { Admission } from '../tenancy/rate-limiter.js';
import type { Caller } from '../tenancy/tenancy.js';
import type { PromptEncoder } from '../tokenizer/token-encoder.js';
import type { TokenBytes } from '../tokenizer/text-stream.js';
import { ChoiceWriter, type RunningChoice } from './answer/choice.js';
import type { Usage } from './answer/schema.js';
import { usageOf } from './answer/usage.js';
import type { RequestContext } from './context.js';
import { textUnsupported } from './errors.js';
import { encodeBadWords } from './plan/bad-words.js';
import { countRows, countVirtualTokens, loadModel, type RequestModel, sharedRoom, versionsOf } from './plan/model.js';
import { type ObserveVersion, sequenceObserver } from './plan/observe.js';
import type { PrefixSource } from './plan/prefix.js';
import { encodePrompts } from './plan/prompts.js';
import { planSubmissions, submitAll, type CompletionEngine } from './plan/requests.js';
import type { Reservation } from './plan/reservation.js';
import { readParams, type CompletionParams } from './request/params.js';
import { loadRequestCheck } from './request/validate.js';

/** The parts of the program that completions are made with. */
export interface CompletionDeps {
  readonly engine: CompletionEngine;
  readonly tokenizer: PromptEncoder & TokenBytes;
  readonly library: PrefixSource;
  readonly base: BaseModel;
  /** What an encoder-decoder's checkpoint asks of generation; undefined or left out for a decoder-only model. */
  readonly generation?: GenerationConfig | undefined;
  /** Choices that one request may have generated, over all prompts. */
  readonly maxChoices: number;
  /** Counts sequences of versions that share a name; undefined or left out: they are not counted. */
  readonly observeVersion?: ObserveVersion | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A completion whose sequences the engine has accepted, all of them. */
export interface Completion {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly params: CompletionParams;
  /** As `versionsOf` names them; undefined without a prefix that has one. */
  readonly version: string | undefined;
  readonly choices: readonly RunningChoice[];
  /** Tokens so far. */
  readonly usage: () => Usage;
  readonly cancel: () => void;
  /** Settles when so many more pieces of the answer may be written (`RequestContext.mayWrite`). */
  readonly mayWrite: RequestContext['mayWrite'];
  /** The state of the tenant's limits after this completion was admitted. */
  readonly admission: Admission;
  /** Gives back to the tenant's limits what was reserved and not used. To be called when the completion is over. */
  readonly settle: () => void;
}

/**
 * Starts a completion, for which one request is reserved: checks the body, loads its prefix, encodes its prompts, takes its tokens from
 * the tenant's limits and submits its sequences, which are cancelled when the client is gone.
 * @throws CompletionError or EngineError; then nothing of the request is left in the engine.
 */
export async function startCompletion(
  deps: CompletionDeps,
  caller: Caller,
  { body, reservation }: ReservedRequest,
  context: RequestContext,
): Promise<Completion> {
  const { maxChoices, base, generation } = deps;
  try {
    const checkRequest = await loadRequestCheck();
    const { id, vocabularySize } = base;
    const params = readParams(checkRequest(body), { base: id, maxChoices, vocabularySize, generation });
    const model = await loadModel(deps, caller.tenant, params, context.trace);
    return await startPrepared(deps, caller, { params, model, reservation }, context);
  } catch (error) {
    reservation.refuse(error);
    throw error;
  }
}

/** A request that the caller's limits have let in. */
export interface ReservedRequest {
  /** As it came. */
  readonly body: unknown;
  readonly reservation: Reservation;
}

/** A request whose parameters are read and whose prefixes are in memory. */
export interface PreparedRequest {
  readonly params: CompletionParams;
  readonly model: RequestModel;
  readonly reservation: Reservation;
}

/** Starts a completion as `startCompletion` does, from where its prefix is at hand. Gives nothing back if it throws. */
export async function startPrepared(
  deps: Omit<CompletionDeps, 'library' | 'maxChoices'>,
  caller: Caller,
  { params, model, reservation }: PreparedRequest,
  { gone, trace, priority, yield: yieldTurn, mayWrite }: RequestContext,
): Promise<Completion> {
  const { engine, tokenizer, base, generation } = deps;
  const { textProblem } = tokenizer;
  if (textProblem !== undefined && params.stop.length > 0) throw textUnsupported('stop', textProblem);
  if (textProblem !== undefined && params.badWords.length > 0) throw textUnsupported('bad_words', textProblem);
  const prompts = await encodePrompts(params, tokenizer, sharedRoom(base, model, generation), yieldTurn);
  const { tenant, created: tenantCreated, limits } = caller;
  const { prefix, blend } = model;
  const share = { weight: limits.weight, queueShare: limits.queueShare ?? 1 };
  const observe = sequenceObserver(trace, deps.observeVersion, model.chosenIds);
  const badWords = encodeBadWords(params.badWords, tokenizer);
  const scope = {
    tenant,
    tenantCreated,
    share,
    priority,
    prefix,
    blend,
    observe,
    badWords,
    decoderStart: generation?.decoderStart,
  };
  const plan = planSubmissions(engine, params, prompts, scope);
  await reservation.takeTokens(params, prompts, countRows(model));
  gone.throwIfAborted();
  const generations = submitAll(engine, params, plan);
  const virtualTokens = countVirtualTokens(base, model);
  const completion = describe(deps, params, {
    prompts,
    generations,
    reservation,
    virtualTokens,
    version: versionsOf(model),
    mayWrite,
  });
  gone.addEventListener('abort', () => completion.cancel(), { once: true });
  return completion;
}

/** A request that the limits have let in and the engine has accepted. */
interface Admitted {
  readonly prompts: readonly (readonly number[])[];
  /** `bestOf` for each prompt. */
  readonly generations: readonly Generation[];
  readonly reservation: Reservation;
  readonly virtualTokens: number;
  readonly version: string | undefined;
  readonly mayWrite: RequestContext['mayWrite'];
}

function describe(
  { tokenizer, now }: Pick<CompletionDeps, 'tokenizer' | 'now'>,
  params: CompletionParams,
  { prompts, generations, reservation, virtualTokens, version, mayWrite }: Admitted,
): Completion {
  const { bestOf, logprobs, promptLogprobs, skipsSpecialTokens, returnTokenIds, echo } = params;
  const choices = generations.map((generation, index) => {
    const prompt = prompts[Math.floor(index / bestOf)] ?? [];
    const options = {
      index,
      logprobs,
      promptLogprobs,
      skipsSpecialTokens,
      promptTokenIds: returnTokenIds ? prompt : undefined,
      echo: echo ? prompt : undefined,
    };
    const writer = new ChoiceWriter(options, tokenizer);
    return { generation, options, writer, usage: () => usageOf([prompt], virtualTokens, [writer]) };
  });
  const writers = choices.map(({ writer }) => writer);
  const usage = (): Usage => usageOf(prompts, virtualTokens, writers);
  return {
    id: `cmpl-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(now() / 1000),
    params,
    version,
    choices,
    usage,
    mayWrite,
    cancel: () => generations.forEach((generation) => generation.cancel()),
    admission: reservation.admission,
    settle: () => reservation.settle(usage().total_tokens),
  };
}
