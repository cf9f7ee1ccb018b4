import type { Engine } from '../../engine/engine.js';
import { EngineError } from '../../engine/errors.js';
import type { BeamRequest, BlendEntry, BlendRequest, Generation, GenerationRequest } from '../../engine/request.js';
import { invalidValue } from '../errors.js';
import type { BeamParams, CompletionParams } from '../request/params.js';

/** The part of the engine that completes. */
export type CompletionEngine = Pick<Engine, 'submit' | 'submitBeams' | 'submitBlend' | 'countFitting'>;

/** What the engine's requests have that does not come from the request's parameters. */
export interface RequestScope extends Pick<
  GenerationRequest,
  'tenant' | 'tenantCreated' | 'share' | 'priority' | 'prefix' | 'observe'
> {
  /** Undefined or left out: no blend. Beside one, there is no `prefix`. */
  readonly blend?: readonly BlendEntry[] | undefined;
  /** Tokens of the words that are not generated; undefined or left out: there are none. */
  readonly badWords?: GenerationRequest['badWords'];
  /** Tokens that a decoder starts with: the prompts are sources. Undefined or left out: it goes on from the prompts. */
  readonly decoderStart?: readonly number[] | undefined;
}

/**
 * One sequence for each choice: the `bestOf` choices of the first prompt, then those of the second, and so on. A sequence draws from
 * the random stream of its place among its prompt's choices, so a prompt gets the same choices alone and in an array.
 */
export function toGenerationRequests(
  params: CompletionParams,
  prompts: readonly (readonly number[])[],
  scope: RequestScope,
): GenerationRequest[] {
  const { n, bestOf, sampling, stop, logprobs } = params;
  // The best of several are found by their log-probabilities.
  const own = { sampling, stop, logprobs: logprobs ?? (bestOf > n ? 0 : undefined) };
  return toPromptRequests(params, prompts, scope).flatMap((request) =>
    Array.from({ length: bestOf }, (_, choice) => ({ ...request, ...own, choice })),
  );
}

/** A blend for each choice, in the order of `toGenerationRequests`. The choices of a prompt share what each entry computes of it. */
function toBlendRequests(
  params: CompletionParams,
  blend: readonly BlendEntry[],
  prompts: readonly (readonly number[])[],
  scope: RequestScope,
): BlendRequest[] {
  const groups = new Map<symbol, readonly symbol[]>();
  const groupsOf = (promptGroup: symbol): readonly symbol[] => {
    const known = groups.get(promptGroup) ?? blend.map(() => Symbol('prompt group'));
    groups.set(promptGroup, known);
    return known;
  };
  return toGenerationRequests(params, prompts, scope).map(({ promptGroup, prefix: _, ...request }) => ({
    ...request,
    entries: blend.map((entry, i) => ({ ...entry, promptGroup: promptGroup && groupsOf(promptGroup)[i] })),
  }));
}

/** One beam search for each prompt, `bestOf` beams wide. */
export function toBeamRequests(
  params: CompletionParams,
  beams: BeamParams,
  prompts: readonly (readonly number[])[],
  scope: RequestScope,
): BeamRequest[] {
  const { bestOf: width, logprobs } = params;
  return toPromptRequests(params, prompts, scope).map((request) => ({ ...request, ...beams, width, logprobs }));
}

/** The fields that both kinds of request have, for each prompt. Equal prompts of one call are a group, which computes its prompt once. */
function toPromptRequests(
  params: CompletionParams,
  prompts: readonly (readonly number[])[],
  { decoderStart, blend: _, ...scope }: RequestScope,
) {
  const { maxTokens, minTokens, forcedFirstToken, forcedLastToken, noRepeatNgramSize } = params;
  const { stopTokenIds, ignoreEos, includesStop, skipsSpecialTokens } = params;
  const groups = nameGroups(prompts, params.bestOf);
  return prompts.map((prompt, index) => ({
    ...scope,
    ...(decoderStart ? { source: prompt, prompt: decoderStart } : { prompt }),
    promptGroup: groups[index],
    maxTokens,
    minTokens,
    forcedFirstToken,
    forcedLastToken,
    noRepeatNgramSize,
    stopTokenIds,
    ignoreEos,
    includesStop,
    skipsSpecialTokens,
    ...scoresOf(params),
  }));
}

/** How the prompt is scored: for its echo, by itself, or for both. */
function scoresOf({ echo, logprobs, promptLogprobs }: CompletionParams): Partial<GenerationRequest> {
  const echoed = echo ? logprobs : undefined;
  if (promptLogprobs === undefined) return echoed === undefined ? {} : { promptLogprobs: echoed };
  return { promptLogprobs: Math.max(promptLogprobs, echoed ?? 0), promptRanks: true };
}

/** A symbol for each prompt that several sequences have, the same for equal ones; no other call returns them. */
function nameGroups(prompts: readonly (readonly number[])[], bestOf: number): (symbol | undefined)[] {
  const keys = prompts.map((prompt) => prompt.join());
  const seen = new Set<string>();
  const repeated = keys.filter((key) => bestOf > 1 || seen.size === seen.add(key).size);
  const groups = new Map(repeated.map((key) => [key, Symbol('prompt group')]));
  return keys.map((key) => groups.get(key));
}

/** One sequence, or the sequences of one beam search. */
interface Submission {
  readonly request: GenerationRequest | BeamRequest | BlendRequest;
  readonly submit: () => Generation[];
}

/** Submissions of a completion, in order: `bestOf` generations of the first prompt, then those of the second, and so on. */
export function planSubmissions(
  engine: CompletionEngine,
  params: CompletionParams,
  prompts: readonly (readonly number[])[],
  scope: RequestScope,
): Submission[] {
  if (params.beams) {
    const requests = toBeamRequests(params, params.beams, prompts, scope);
    return requests.map((request) => ({ request, submit: () => submitBeams(engine, request, params) }));
  }
  if (scope.blend) {
    const requests = toBlendRequests(params, scope.blend, prompts, scope);
    return requests.map((request) => ({ request, submit: () => [submitBlend(engine, request, params)] }));
  }
  const requests = toGenerationRequests(params, prompts, scope);
  return requests.map((request) => ({ request, submit: () => [engine.submit(request)] }));
}

/**
 * Submits all of a plan, in order. If that throws, nothing of the request is left in the engine.
 * @throws CompletionError `invalid_value` for a plan that the queue has no room for at any time; EngineError
 */
export function submitAll(
  engine: CompletionEngine,
  params: CompletionParams,
  plan: readonly Submission[],
): Generation[] {
  const generations: Generation[] = [];
  try {
    for (const { submit } of plan) generations.push(...submit());
    return generations;
  } catch (error) {
    for (const generation of generations) generation.cancel();
    throw isQueueFull(error) ? refuseUnfit(engine, params, plan, error) : error;
  }
}

function isQueueFull(error: unknown): error is EngineError {
  return error instanceof EngineError && (error.code === 'queue_full' || error.code === 'tenant_queue_full');
}

/** The refusal of a plan that found the queue full: for good where it is larger than an empty queue, and for now otherwise. */
function refuseUnfit(
  engine: CompletionEngine,
  { prompts, n, bestOf }: CompletionParams,
  plan: readonly Submission[],
  cause: EngineError,
): Error {
  const fitting = engine.countFitting(plan.map(({ request }) => request));
  if (fitting === plan.length) return cause;
  const param = prompts.length > fitting ? 'prompt' : bestOf > n ? 'best_of' : 'n';
  const whose = cause.code === 'tenant_queue_full' ? `your part of the server's queue` : `the server's queue`;
  const message =
    `This request needs ${plan.length} places at once, and only ${fitting} of them fit an idle server and ${whose}. ` +
    `It can never pass: ask for fewer choices or prompts in one request, or for fewer tokens.`;
  return invalidValue(param, message, { cause, neverPasses: true });
}

/** How wide a search may be is the engine's to say; to a request, the width is `best_of` or `n`. */
function submitBeams(engine: CompletionEngine, request: BeamRequest, { n, bestOf }: CompletionParams): Generation[] {
  try {
    return engine.submitBeams(request);
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'invalid_beams')) throw error;
    const param = bestOf > n ? 'best_of' : 'n';
    throw invalidValue(param, `'${param}': ${error.message}`, { cause: error });
  }
}

/** How many entries a blend may have is the engine's to say. */
function submitBlend(engine: CompletionEngine, request: BlendRequest, { blend = [] }: CompletionParams): Generation {
  try {
    return engine.submitBlend(request);
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'invalid_blend')) throw error;
    const param = blend.some((term) => term.param === 'guidance_scale') ? 'guidance_scale' : 'blend';
    throw invalidValue(param, `'${param}': ${error.message}`, { cause: error });
  }
}
