import type { BlendEntry } from '../engine/request.js';
import { type ModelShape, SELF } from '../prefix/kv.js';
import type { Model } from '../model/model.js';
import type { ModelTokenizer } from '../tokenizer/token-encoder.js';
import type { TunedAdapter } from '../tuning/adapter-files.js';
import { TuningError } from '../tuning/errors.js';
import type { TextOrIds, TrainingExample } from '../tuning/data/example.js';
import { meanLoss, type MeanLoss } from '../tuning/training/mean-loss.js';
import type { Method, TunedShape } from '../tuning/method.js';
import { directValues } from '../tuning/start/initial-values.js';
import { tokenExamples } from '../tuning/data/tokens.js';
import type { TooLong } from '../tuning/data/too-long.js';
import type { TrainingModel } from '../tuning/training/training-model.js';
import { generate, type GenerationSettings } from './generate.js';
import { isBlend, loadMixture, toEntries } from './mixture.js';
import { defaultScores, type ScoreName } from './scores/names.js';
import { servedLoss } from './served-loss.js';
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
  /** Directory of an adapter, a composition of several or a blend (`loadMixture`); undefined: the bare model. */
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
  /** Null: the bare model, a composition or a blend. */
  readonly method: Method | null;
  /** Of a composition or a blend, those of all its adapters. */
  readonly num_virtual_tokens: number;
  /** Mean per learned token, in nats, and its exponential; NaN for compositions and blends of infixes or of a model with an encoder. */
  readonly loss: number;
  readonly perplexity: number;
  readonly learned_tokens: number;
  /** Different sources among the examples: one text is generated for each. */
  readonly sources: number;
  readonly scores: TextScores | undefined;
  readonly predictions: readonly Prediction[];
}

/** What is measured: an adapter as training knows it, or `undefined` for the bare model; and the same, or more, as it is served. */
interface Subject {
  readonly adapter: TunedAdapter | undefined;
  readonly entries: readonly BlendEntry[];
  /** Whether no training graph has its loss. */
  readonly isMixed: boolean;
}

/**
 * Measures a prefix, several of them, or the bare model on examples: the loss of their targets, and scores of the texts that beam search
 * generates, each against all references of its source. There is no beam search of a blend: with one beam its texts are greedy.
 * Throws `TuningError` for examples or an adapter that do not fit the model, and the signal's reason.
 */
export async function evaluate(model: EvaluationModel, options: EvaluateOptions): Promise<Evaluation> {
  const { generation, adapter: name, scores = defaultScores(model.served.base) } = options;
  const mixture = await loadMixture(name, model.served);
  const adapters = mixture.entries.flatMap((entry) => entry.adapters);
  const isMixed = isBlend(mixture) || adapters.length > 1;
  const subject = {
    adapter: isMixed ? undefined : adapters[0],
    entries: await toEntries(mixture, name, model.served),
    isMixed,
  };
  if (generation && generation.beams > 1 && isBlend(mixture)) {
    throw new TuningError('adapter', 'a blend has no beam search: measure it with one beam', { where: name });
  }
  const { loss, tokens } = await learnedLoss(model, subject, options);
  const predictions = generation ? await predict(model, subject, options, generation) : [];
  const texts = predictions.map(({ prediction, references }) => ({ hypothesis: prediction, references }));
  return {
    method: subject.adapter?.method ?? null,
    num_virtual_tokens: adapters.reduce((total, { length }) => total + length, 0),
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
  { training, served, tokenizer }: EvaluationModel,
  { adapter, entries, isMixed }: Subject,
  { examples, tooLong, signal, onProgress }: EvaluateOptions,
): Promise<MeanLoss> {
  const { manifest } = training.options;
  const { rows, ...of } = adapter ?? noAdapter(manifest.shape);
  const shape: TunedShape = { ...of, mlp: 0 };
  const { examples: tokens } = await tokenExamples(examples, {
    encoder: tokenizer,
    manifest,
    generation: training.generation,
    length: Math.max(...entries.map(({ prefix }) => prefix?.kv.shift ?? 0)),
    subject: 'data',
    tooLong,
    signal,
  });
  if (isMixed) {
    const isServable =
      training.generation === undefined && entries.every(({ prefix }) => prefix?.placement !== 'infix');
    if (!isServable) return { loss: NaN, tokens: tokens.reduce((sum, { target }) => sum + target.length, 0) };
    const onExample = (done: number): void => onProgress?.({ phase: 'loss', done, total: tokens.length });
    return servedLoss({ model: served, tokenizer, entries, examples: tokens, signal, onExample });
  }
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
  { entries }: Subject,
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
      entries,
      signal,
      onText: (done) => onProgress?.({ phase: 'generation', done, total: groups.length }),
    },
  );
  return groups.map(({ source, references }, i) => ({ source, prediction: predictions[i] ?? '', references }));
}
