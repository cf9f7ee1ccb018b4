import type { Engine } from '../../engine/engine.js';
import { EngineError } from '../../engine/errors.js';
import type { BeamRequest, Generation } from '../../engine/request.js';
import { ApiError } from '../errors.js';
import { toBeamRequests } from './beam-requests.js';
import { toGenerationRequests, type RequestScope } from './generation-requests.js';
import type { CompletionParams } from './params.js';

/** What completions need of the engine. */
export type CompletionEngine = Pick<Engine, 'submit' | 'submitBeams'>;

/** Submits a sequence, or the sequences of one beam search. */
export type Submission = () => Generation[];

/**
 * Submits all of a request, in order.
 * @throws ApiError or EngineError; then nothing of the request is left in the engine.
 */
export function submitAll(submissions: readonly Submission[]): Generation[] {
  const generations: Generation[] = [];
  try {
    for (const submit of submissions) generations.push(...submit());
    return generations;
  } catch (error) {
    for (const generation of generations) generation.cancel();
    throw error;
  }
}

/**
 * Checks a request, and makes its sequences or beam searches: `bestOf` generations of the first prompt, then those of the second, and so on.
 * @throws ApiError for what can never be submitted.
 */
export function toSubmissions(
  engine: CompletionEngine,
  params: CompletionParams,
  prompts: readonly number[][],
  scope: RequestScope,
): Submission[] {
  if (params.beams) {
    const requests = toBeamRequests(params, params.beams, prompts, scope);
    return requests.map((request) => () => submitBeams(engine, request, params));
  }
  return toGenerationRequests(params, prompts, scope).map((request) => () => [engine.submit(request)]);
}

/** How wide a search may be is the engine's to say; to a request, it is `best_of` or `n`. */
function submitBeams(engine: CompletionEngine, request: BeamRequest, { n, bestOf }: CompletionParams): Generation[] {
  try {
    return engine.submitBeams(request);
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'invalid_beams')) throw error;
    const param = bestOf > n ? 'best_of' : 'n';
    throw new ApiError('invalid_value', `'${param}': ${error.message}`, { param, cause: error });
  }
}
