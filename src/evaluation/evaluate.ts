import type { RequestPrefix } from '../engine/request.js';
import { sitesKv } from '../prefix/adapter/sites-tensors.js';
import { type ModelShape, SELF, selfKv } from '../prefix/kv.js';
import type { Model } from '../model/model.js';
import type { ModelTokenizer } from '../tokenizer/token-encoder.js';
import { loadAdapter, type TunedAdapter } from '../tuning/adapter-files.js';
import { TuningError } from '../tuning/errors.js';
import type { TextOrIds, TrainingExample } from '../tuning/data/example.js';
import { meanLoss, type MeanLoss } from '../tuning/training/mean-loss.js';
import type { Method, TunedShape } from '../tuning/method.js';
import { directValues } from '../tuning/start/initial-values.js';
import { tokenExamples } from '../tuning/data/tokens.js';
import type { TooLong } from '../tuning/data/too-long.js';
import type { TrainingModel } from '../tuning/training/training-model.js';
import { generate, type GenerationSettings } from './generate.js';
import { defaultScores, type ScoreName } from './scores/names.js';
import { scoreTexts, type TextScores } from './scores/scores.js';
import { groupBySource } from './sources.js';

/** One model, opened for training (losses) and for serving (texts). The caller disposes of both. */
export interface EvaluationModel {
  readonly training: TrainingModel;
  /** For the evaluation alone. */
  readonly served: Model;
  readonly tokenizer: ModelTokenizer;
}

export interface EvaluateOptions {
  readonly examples: readonly TrainingExample[];
  /** Directory of an adapter; undefined: the bare model. */
  readonly adapter: string | undefined;
  /** Settings of the texts to score; undefined: no texts are generated. */
  readonly generation: GenerationSettings | undefined;
  /** Scores of the texts; `defaultScores` of the model unless given. */
  readonly scores?: readonly ScoreName[] | undefined;
  /** What becomes of examples whose loss cannot be measured because they do not fit; `fail` unless given. */
  readonly tooLong?: TooLong | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
}

export interface EvaluationProgress {
  readonly phase: 'loss' | 'generation';
  readonly done: number;
  readonly total: number;
}

/** The text generated for one source, and its references. */
interface Prediction {
  readonly source: string;
  readonly prediction: string;
  readonly references: readonly string[];
}

export interface Evaluation {
  /** Null: the bare model. */
  readonly method: Method | null;
  readonly num_virtual_tokens: number;
  /** Mean per learned token, in nats, and its exponential. */
  readonly loss: number;
  readonly perplexity: number;
  readonly learned_tokens: number;
  /** Different sources among the examples: one text is generated for each. */
  readonly sources: number;
  readonly scores: TextScores | undefined;
  readonly predictions: readonly Prediction[];
}

/**
 * Measures a prefix, or the bare model, on examples: the loss of their targets, and scores of the texts that beam search
 * generates, each against all references of its source.
 * Throws `TuningError` for examples or an adapter that do not fit the model, and the signal's reason.
 */
export async function evaluate(model: EvaluationModel, options: EvaluateOptions): Promise<Evaluation> {
  const { generation, adapter: directory, scores = defaultScores(model.served.base) } = options;
  const adapter = directory === undefined ? undefined : await loadAdapter(directory, model.served.base);
  const { loss, tokens } = await learnedLoss(model, adapter, options);
  const predictions = generation ? await predict(model, adapter, options, generation) : [];
  const texts = predictions.map(({ prediction, references }) => ({ hypothesis: prediction, references }));
  return {
    method: adapter?.method ?? null,
    num_virtual_tokens: adapter?.length ?? 0,
    loss,
    perplexity: Math.exp(loss),
    learned_tokens: tokens,
    sources: groupBySource(options.examples).length,
    scores: generation && scoreTexts(texts, scores),
    predictions,
  };
}

/** Examples in one run of the graph. */
const BATCH_SIZE = 8;

async function learnedLoss(
  { training, tokenizer }: EvaluationModel,
  adapter: TunedAdapter | undefined,
  { examples, tooLong, signal, onProgress }: EvaluateOptions,
): Promise<MeanLoss> {
  const { manifest } = training.options;
  const { rows, ...of } = adapter ?? noAdapter(manifest.shape);
  const shape: TunedShape = { ...of, mlp: 0 };
  const { examples: tokens } = await tokenExamples(examples, {
    encoder: tokenizer,
    manifest,
    generation: training.generation,
    length: shape.length,
    subject: 'data',
    tooLong,
    signal,
  });
  const graph = await training.openLoss(shape, false);
  try {
    return await meanLoss(graph, directValues(manifest.shape, shape, rows), {
      examples: tokens,
      frozen: manifest.shape,
      shape,
      batchSize: BATCH_SIZE,
      onBatch: (done) => {
        signal?.throwIfAborted();
        onProgress?.({ phase: 'loss', done, total: tokens.length });
      },
    });
  } finally {
    await graph.dispose();
  }
}

/** Rows of which there are none. */
function noAdapter({ sourceLength }: ModelShape): TunedAdapter {
  if (sourceLength !== undefined) return { method: 'prefix', length: 0, sites: {}, rows: new Map() };
  return { method: 'prefix', length: 0, rows: new Map([[SELF, new Float32Array(0)]]) };
}

async function predict(
  { served, tokenizer }: EvaluationModel,
  adapter: TunedAdapter | undefined,
  { examples, signal, onProgress }: EvaluateOptions,
  generation: GenerationSettings,
): Promise<Prediction[]> {
  if (tokenizer.textProblem !== undefined) {
    throw new TuningError(
      'data',
      `no text can be generated and scored: ${tokenizer.textProblem}; measure the loss alone`,
    );
  }
  const text = (one: TextOrIds): string => (typeof one === 'string' ? one : tokenizer.decode(one));
  const groups = groupBySource(examples).map(({ example: { source, where = 'data' }, references }) => {
    if (references.length === 0) throw new TuningError('data', 'no text to compare with', { where });
    return {
      prompt: { prompt: source, where },
      source: text(source),
      references: references.map((one) => text(one).trim()),
    };
  });
  const predictions = await generate(
    groups.map(({ prompt }) => prompt),
    {
      ...generation,
      model: served,
      tokenizer,
      prefix: adapter && (await toRequestPrefix(adapter, served)),
      signal,
      onText: (done) => onProgress?.({ phase: 'generation', done, total: groups.length }),
    },
  );
  return groups.map(({ source, references }, i) => ({ source, prediction: predictions[i] ?? '', references }));
}

/** The adapter as requests use it, made as the server makes it at upload. */
async function toRequestPrefix(adapter: TunedAdapter, { base, encoder }: Model): Promise<RequestPrefix> {
  const { method, length, sites, rows } = adapter;
  if (sites !== undefined) return { kv: sitesKv(rows, base), placement: 'prefix' };
  const own = rows.get(SELF) as Float32Array;
  if (method !== 'embedding') return { kv: selfKv(length, own), placement: method };
  return { kv: await encoder.encodeEmbeddings(own, length), placement: 'prefix' };
}
