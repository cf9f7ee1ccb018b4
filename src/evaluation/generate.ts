import { setMaxListeners } from 'node:events';

import { collectCompletion } from '../completions/answer/response.js';
import { type CompletionDeps, startPrepared } from '../completions/completion.js';
import { Reservation } from '../completions/plan/reservation.js';
import { requestContext, type RequestContext } from '../completions/context.js';
import { CompletionError } from '../completions/errors.js';
import { readParams } from '../completions/request/params.js';
import type { CompletionRequest } from '../completions/request/schema.js';
import { Engine } from '../engine/engine.js';
import { EngineError } from '../engine/errors.js';
import type { BeamRequest, BlendEntry } from '../engine/request.js';
import type { Model } from '../model/model.js';
import { NO_LIMITS } from '../tenancy/limits.js';
import { MemoryRateLimiter } from '../tenancy/memory-rate-limiter.js';
import { encodePrompt, type ModelTokenizer } from '../tokenizer/token-encoder.js';
import type { TextOrIds } from '../tuning/data/example.js';
import { TuningError } from '../tuning/errors.js';

/** The settings of the beam search; the paper's are 5 beams and penalty 1 for texts about tables, 6 and 0.8 for summaries. */
export interface GenerationSettings extends Pick<BeamRequest, 'lengthPenalty' | 'maxTokens' | 'earlyStopping'> {
  readonly beams: number;
  /** As in `BeamRequest`; what the model's checkpoint says unless given. */
  readonly minTokens?: number | undefined;
  /** As `minTokens`. */
  readonly noRepeatNgramSize?: number | undefined;
}

/** A prompt, which is the source of a model with an encoder, and the line of the data that it comes from, for errors. */
export interface Prompt {
  readonly prompt: TextOrIds;
  readonly where: string;
}

export interface GenerateOptions extends GenerationSettings {
  /** Its runner is for this evaluation alone. */
  readonly model: Pick<Model, 'runner' | 'eosTokenIds' | 'base'> & Pick<CompletionDeps, 'generation'>;
  readonly tokenizer: ModelTokenizer;
  /** One of weight 1: beam search behind its prefix; else a blend, whose texts are greedy. */
  readonly entries: readonly BlendEntry[];
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
  const { model, tokenizer, entries } = options;
  const { base, generation } = model;
  const [first] = entries;
  const isBlend = entries.length > 1 || first?.weight !== 1;
  const limits = { base: base.id, vocabularySize: base.vocabularySize, maxChoices: options.beams, generation };
  try {
    const params = readParams(toRequest(base.id, prompt, options, isBlend), limits);
    const reservation = await Reservation.ofRequest(new MemoryRateLimiter(), caller);
    const deps = { engine, tokenizer, base, generation, now: Date.now };
    const completion = await startPrepared(
      deps,
      caller,
      { params, model: isBlend ? { blend: entries } : { prefix: first.prefix }, reservation },
      context,
    );
    const { choices } = await collectCompletion(completion);
    return (choices[0]?.text ?? '').trim();
  } catch (error) {
    if (!(error instanceof CompletionError || error instanceof EngineError)) throw error;
    throw new TuningError('data', toMessage(error, prompt, options), { where: prompt.where, cause: error });
  }
}

function toRequest(
  model: string,
  { prompt }: Prompt,
  settings: GenerationSettings,
  isBlend: boolean,
): CompletionRequest {
  const { beams, lengthPenalty, maxTokens, minTokens, noRepeatNgramSize, earlyStopping = false } = settings;
  return {
    model,
    prompt: typeof prompt === 'string' ? prompt : [[...prompt]],
    max_tokens: maxTokens,
    ...(isBlend
      ? { temperature: 0 }
      : {
          use_beam_search: true,
          best_of: beams,
          length_penalty: lengthPenalty,
          early_stopping: earlyStopping,
        }),
    ...(minTokens !== undefined && { min_tokens: minTokens }),
    ...(noRepeatNgramSize !== undefined && { no_repeat_ngram_size: noRepeatNgramSize }),
  };
}

/** An error's message; that of a prompt too long for a decoder-only model without the API's names of fields. */
function toMessage(error: Error & { code: string }, { prompt }: Prompt, options: GenerateOptions): string {
  const { model, entries, tokenizer, maxTokens } = options;
  if (error.code === 'context_length_exceeded' && model.base.sourceLength === undefined) {
    const { length } = typeof prompt === 'string' ? encodePrompt(tokenizer, prompt) : prompt;
    const virtual = Math.max(...entries.map(({ prefix }) => prefix?.kv.length ?? 0));
    const asked = `${virtual} virtual, ${length} prompt and ${maxTokens} new tokens`;
    return `The context is ${model.base.contextLength} tokens, but asked are ${asked}.`;
  }
  return error.cause instanceof EngineError ? error.cause.message : error.message;
}
