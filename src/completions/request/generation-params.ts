import type { GenerationConfig } from '../../engine/generation-config.js';
import { CompletionError, invalidValue } from '../errors.js';
import type { CompletionRequest } from './schema.js';
import { refuseUnknownIds } from './vocabulary.js';

/** The parameters for which an encoder-decoder's checkpoint may have defaults. */
export interface GenerationParams {
  readonly maxTokens: number;
  readonly minTokens: number;
  /** As in the engine's `GenerationRequest`, and so are the next two. */
  readonly forcedFirstToken: number | undefined;
  readonly forcedLastToken: number | undefined;
  /** 0: any run of tokens may come again. */
  readonly noRepeatNgramSize: number;
}

/** Tokens that are generated where neither the request nor the checkpoint says how many. */
const MAX_TOKENS = 16;

/**
 * Reads what a request says of its generation. What it leaves out is the checkpoint's default; null, as 0 where that is no token, turns one off.
 * Only `max_tokens` cannot be turned off: there, null is not given.
 * @param generation undefined for a decoder-only model
 * @throws CompletionError for `min_tokens` above `max_tokens`, and for a forced token that is not in the vocabulary or in a decoder-only model
 */
export function readGeneration(
  request: CompletionRequest,
  vocabularySize: number,
  generation: GenerationConfig | undefined,
): GenerationParams {
  const asked = request.max_tokens ?? request.max_completion_tokens;
  const maxTokens = asked ?? generation?.maxTokens ?? MAX_TOKENS;
  const forced = (
    field: 'forced_bos_token_id' | 'forced_eos_token_id',
    own: number | null = null,
  ): number | undefined => {
    const id = request[field];
    if (typeof id !== 'number') return (id === undefined ? own : id) ?? undefined;
    if (generation === undefined) throw refuseForced(field);
    refuseUnknownIds(field, [id], vocabularySize);
    return id;
  };
  return {
    maxTokens,
    minTokens: readMinTokens(request.min_tokens, generation?.minTokens, maxTokens),
    forcedFirstToken: forced('forced_bos_token_id', generation?.forcedBosTokenId),
    forcedLastToken: forced('forced_eos_token_id', generation?.forcedEosTokenId),
    noRepeatNgramSize: orDefault(request.no_repeat_ngram_size, generation?.noRepeatNgramSize),
  };
}

/** The checkpoint's fewest tokens are no reason to refuse a request for less: all of them come before an end token then. */
function readMinTokens(asked: number | null | undefined, own: number | undefined, maxTokens: number): number {
  if (asked === undefined) return Math.min(own ?? 0, maxTokens);
  const minTokens = asked ?? 0;
  if (minTokens <= maxTokens) return minTokens;
  throw invalidValue('min_tokens', `'min_tokens' must be at most 'max_tokens', which is ${maxTokens}.`);
}

function orDefault(asked: number | null | undefined, own = 0): number {
  return (asked === undefined ? own : asked) ?? 0;
}

function refuseForced(param: string): CompletionError {
  const message = `'${param}' is for models with an encoder, which this one is not; leave it out.`;
  return new CompletionError('unsupported_parameter', message, { param });
}
