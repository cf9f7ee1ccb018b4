import { Engine } from '../engine/engine.js';
import { EngineError } from '../engine/errors.js';
import type { Generation, RequestPrefix } from '../engine/request.js';
import type { Model } from '../model/model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { TuningError } from '../tuning/errors.js';

/** How text is generated; the paper's is `{ beams: 5, lengthPenalty: 1, maxTokens: 100 }`. */
export interface GenerationSettings {
  readonly beams: number;
  /** As in `BeamRequest`. */
  readonly lengthPenalty: number;
  readonly maxTokens: number;
}

/** Token ids to go on from, and what they are, for errors. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly where: string;
}

export interface GenerateOptions extends GenerationSettings {
  /** Nothing else uses its runner meanwhile. */
  readonly model: Pick<Model, 'runner' | 'eosTokenIds'>;
  readonly tokenizer: Tokenizer;
  readonly prefix: RequestPrefix | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as each text is ready. */
  readonly onText?: ((done: number) => void) | undefined;
}

/**
 * The best hypothesis for each prompt, up to the end token, without space around it. All go through one engine, as in serving.
 * Throws `TuningError` naming a prompt that does not fit, and the signal's reason.
 */
export async function generate(prompts: readonly Prompt[], options: GenerateOptions): Promise<string[]> {
  const { model, tokenizer, signal, onText } = options;
  signal?.throwIfAborted();
  const limits = { maxWaitingRequests: prompts.length, maxWaitingTokens: Infinity };
  const engine = new Engine({ runner: model.runner, eosTokenIds: model.eosTokenIds, tokenizer, limits });
  const searches: Generation[] = [];
  const cancel = (): void => searches.forEach((search) => search.cancel());
  signal?.addEventListener('abort', cancel);
  try {
    for (const prompt of prompts) searches.push(submit(engine, prompt, options));
    let done = 0;
    const texts = searches.map(async (search) => {
      const text = await textOf(search);
      onText?.(++done);
      return text.trim();
    });
    const all = await Promise.all(texts);
    signal?.throwIfAborted();
    return all;
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
    await engine.drain();
  }
}

function submit(engine: Engine, { ids, where }: Prompt, options: GenerateOptions): Generation {
  const { prefix, beams: width, lengthPenalty, maxTokens } = options;
  try {
    const [best] = engine.submitBeams({
      tenant: 'evaluation',
      prompt: ids,
      prefix,
      width,
      lengthPenalty,
      maxTokens,
      stopTokenIds: [],
      ignoreEos: false,
      logprobs: undefined,
    });
    return best as Generation;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new TuningError(`${where}: ${error.message}`, { cause: error });
  }
}

async function textOf(generation: Generation): Promise<string> {
  let text = '';
  for await (const event of generation) if (event.type !== 'prompt') text += event.text;
  return text;
}
