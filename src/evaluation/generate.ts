import { setMaxListeners } from 'node:events';

import { collectCompletion } from '../completions/answer/response.js';
import { startPrepared } from '../completions/completion.js';
import { Reservation } from '../completions/plan/reservation.js';
import { requestContext, type RequestContext } from '../completions/context.js';
import { CompletionError } from '../completions/errors.js';
import { readParams } from '../completions/request/params.js';
import { Engine } from '../engine/engine.js';
import { EngineError } from '../engine/errors.js';
import type { RequestPrefix } from '../engine/request.js';
import type { Model } from '../model/model.js';
import { NO_LIMITS } from '../tenancy/limits.js';
import { MemoryRateLimiter } from '../tenancy/memory-rate-limiter.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { TuningError } from '../tuning/errors.js';

/** The settings of the beam search; the paper's are `{ beams: 5, lengthPenalty: 1, maxTokens: 100 }`. */
export interface GenerationSettings {
  readonly beams: number;
  /** As in `BeamRequest`. */
  readonly lengthPenalty: number;
  readonly maxTokens: number;
}

/** Token ids of a prompt, and the line of the data that they come from, for errors. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly where: string;
}

export interface GenerateOptions extends GenerationSettings {
  /** Its runner is for this evaluation alone. */
  readonly model: Pick<Model, 'runner' | 'eosTokenIds' | 'base'>;
  readonly tokenizer: Tokenizer;
  readonly prefix: RequestPrefix | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as each text is ready. */
  readonly onText?: ((done: number) => void) | undefined;
}

/** The tenant that an evaluation's completions count for; it has no limits. */
const caller = { tenant: 'evaluation', created: null, limits: NO_LIMITS };

/**
 * Generates the best hypothesis for each prompt, up to the end token, trimmed. One engine completes all of them, as in serving.
 * Throws `TuningError` naming a prompt that does not fit, and the signal's reason.
 */
export async function generate(prompts: readonly Prompt[], options: GenerateOptions): Promise<string[]> {
  const { model, tokenizer, signal, onText } = options;
  signal?.throwIfAborted();
  const limits = { maxWaitingRequests: prompts.length, maxWaitingTokens: Infinity };
  const engine = new Engine({ runner: model.runner, eosTokenIds: model.eosTokenIds, tokenizer, limits });
  const over = new AbortController();
  const context = requestContext(AbortSignal.any([over.signal, ...(signal ? [signal] : [])]));
  setMaxListeners(0, context.gone); // every prompt listens
  let done = 0;
  const texts = prompts.map(async (prompt) => {
    const text = await complete(engine, prompt, options, context);
    onText?.(++done);
    return text;
  });
  try {
    return await Promise.all(texts);
  } finally {
    over.abort();
    await engine.drain();
    signal?.throwIfAborted();
  }
}

async function complete(
  engine: Engine,
  prompt: Prompt,
  options: GenerateOptions,
  context: RequestContext,
): Promise<string> {
  const { model, tokenizer, prefix, beams, lengthPenalty, maxTokens } = options;
  const { base } = model;
  const request = {
    model: base.id,
    prompt: [[...prompt.ids]],
    max_tokens: maxTokens,
    use_beam_search: true,
    best_of: beams,
    length_penalty: lengthPenalty,
  };
  try {
    const params = readParams(request, { vocabularySize: base.vocabularySize, maxChoices: beams });
    const reservation = await Reservation.ofRequest(new MemoryRateLimiter(), caller);
    const deps = { engine, tokenizer, base, now: Date.now };
    const completion = await startPrepared(deps, caller, { params, prefix, reservation }, context);
    const { choices } = await collectCompletion(completion);
    return (choices[0]?.text ?? '').trim();
  } catch (error) {
    if (!(error instanceof CompletionError || error instanceof EngineError)) throw error;
    throw new TuningError('data', toMessage(error, prompt, options), { where: prompt.where, cause: error });
  }
}

/** An error's message without the API's names of fields, which the command line does not have. */
function toMessage(error: Error & { code: string }, { ids }: Prompt, options: GenerateOptions): string {
  const { model, prefix, maxTokens } = options;
  if (error.code === 'context_length_exceeded') {
    const asked = `${prefix?.kv.length ?? 0} virtual, ${ids.length} prompt and ${maxTokens} new tokens`;
    return `The context is ${model.base.contextLength} tokens, but asked are ${asked}.`;
  }
  return error.cause instanceof EngineError ? error.cause.message : error.message;
}
