import type { BlendEntry, BlendRequest } from '../engine/request.js';
import { Engine } from '../engine/engine.js';
import type { Model } from '../model/model.js';
import type { ModelTokenizer } from '../tokenizer/token-encoder.js';
import type { TokenExample } from '../tuning/data/example.js';
import type { MeanLoss } from '../tuning/training/mean-loss.js';

export interface ServedLossOptions {
  /** Its runner is for this measurement alone. Decoder-only. */
  readonly model: Pick<Model, 'runner'>;
  readonly tokenizer: ModelTokenizer;
  /** Without infixes, which stand elsewhere in a text that is scored than in one that is generated. */
  readonly entries: readonly BlendEntry[];
  readonly examples: readonly TokenExample[];
  readonly signal?: AbortSignal | undefined;
  /** Called after each example. */
  readonly onExample?: ((done: number) => void) | undefined;
}

/** The mean loss of the targets as an engine scores them: for compositions and blends, which no training graph has. Throws the signal's reason. */
export async function servedLoss(options: ServedLossOptions): Promise<MeanLoss> {
  const { model, tokenizer, entries, examples, signal, onExample } = options;
  const limits = { maxWaitingRequests: examples.length, maxWaitingTokens: Infinity };
  const engine = new Engine({ runner: model.runner, eosTokenIds: [], tokenizer, limits });
  let done = 0;
  const losses = examples.map(async ({ source, target }) => {
    const loss = await lossOf(engine, { ...scored, entries, prompt: [...source, ...target] }, target.length);
    signal?.throwIfAborted();
    onExample?.(++done);
    return loss;
  });
  try {
    const all = await Promise.all(losses);
    const tokens = examples.reduce((sum, { target }) => sum + target.length, 0);
    return { loss: all.reduce((sum, loss) => sum + loss, 0) / tokens, tokens };
  } finally {
    await engine.drain();
  }
}

/** A request that generates nothing, and has its prompt scored. */
const scored: Omit<BlendRequest, 'entries' | 'prompt'> = {
  tenant: 'evaluation',
  sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
  choice: 0,
  maxTokens: 0,
  minTokens: 0,
  stop: [],
  stopTokenIds: [],
  ignoreEos: true,
  logprobs: undefined,
  promptLogprobs: 0,
};

/** Sum over the last `learned` tokens of the prompt. */
async function lossOf(engine: Engine, request: BlendRequest, learned: number): Promise<number> {
  const losses: number[] = [];
  for await (const event of engine.submitBlend(request)) {
    if (event.type === 'prompt') losses.push(...event.tokens.map(({ logprob }) => -logprob));
  }
  return losses.slice(-learned).reduce((sum, loss) => sum + loss, 0);
}
