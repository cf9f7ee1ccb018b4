import type { Engine } from '../../engine/engine.js';
import { EngineError } from '../../engine/errors.js';
import type { BeamRequest, Generation, GenerationRequest } from '../../engine/request.js';
import { invalidValue } from '../errors.js';
import type { BeamParams, CompletionParams } from '../request/params.js';

/** The part of the engine that completes. */
export type CompletionEngine = Pick<Engine, 'submit' | 'submitBeams'>;

/** What the engine's requests have that does not come from the request's parameters. */
export interface RequestScope extends Pick<
  GenerationRequest,
  'tenant' | 'tenantCreated' | 'share' | 'prefix' | 'observe'
> {
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
  { decoderStart, ...scope }: RequestScope,
) {
  const { maxTokens, minTokens, forcedFirstToken, forcedLastToken, noRepeatNgramSize } = params;
  const { stopTokenIds, ignoreEos, logprobs, echo } = params;

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
    ...(echo && { promptLogprobs: logprobs }),
  }));
}

/** A symbol for each prompt that several sequences have, the same for equal ones; no other call returns them. */
function nameGroups(prompts: readonly (readonly number[])[], bestOf: number): (symbol | undefined)[] {
  const keys = prompts.map((prompt) => prompt.join());
  const seen = new Set<string>();
  const repeated = keys.filter((key) => bestOf > 1 || seen.size === seen.add(key).size);
  const groups = new Map(repeated.map((key) => [key, Symbol('prompt group')]));
  return keys.map((key) => groups.get(key));
}

/** Submits one sequence, or the sequences of one beam search. */
type Submission = () => Generation[];

/** Submissions of a completion, in order: `bestOf` generations of the first prompt, then those of the second, and so on. */
export function planSubmissions(
  engine: CompletionEngine,
  params: CompletionParams,
  prompts: readonly (readonly number[])[],
  scope: RequestScope,
): Submission[] {
  if (params.beams) {
    const requests = toBeamRequests(params, params.beams, prompts, scope);
    return requests.map((request) => () => submitBeams(engine, request, params));
  }
  return toGenerationRequests(params, prompts, scope).map((request) => () => [engine.submit(request)]);
}

/** Submits all of a plan, in order. If that throws, nothing of the request is left in the engine. */
export function submitAll(plan: readonly Submission[]): Generation[] {
  const generations: Generation[] = [];
  try {
    for (const submit of plan) generations.push(...submit());
    return generations;
  } catch (error) {
    for (const generation of generations) generation.cancel();
    throw error;
  }
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
