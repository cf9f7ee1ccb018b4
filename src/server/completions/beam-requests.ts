import type { BeamRequest } from '../../engine/request.js';
import type { BeamParams } from './beam-params.js';
import { nameSiblings, refuseImpossible, type RequestScope } from './generation-requests.js';
import type { CompletionParams } from './params.js';

/** One beam search for each prompt, `bestOf` beams wide. Those of equal prompts are siblings. */
export function toBeamRequests(
  params: CompletionParams,
  { lengthPenalty }: BeamParams,
  prompts: readonly number[][],
  scope: RequestScope,
): BeamRequest[] {
  refuseImpossible(params, prompts, scope);
  const { tenant, tenantCreated, share, prefix, observe } = scope;
  const { bestOf: width, maxTokens, stopTokenIds, ignoreEos, logprobs, echo } = params;
  const siblings = nameSiblings(prompts);
  return prompts.map((prompt, index) => ({
    tenant,
    tenantCreated,
    share,
    prompt,
    prefix,
    siblings: siblings[index],
    width,
    lengthPenalty,
    maxTokens,
    stopTokenIds,
    ignoreEos,
    logprobs,
    ...(echo && { promptLogprobs: logprobs }),
    observe,
  }));
}
