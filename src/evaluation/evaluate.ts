import type { Model } from '../model/model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { TrainingExample } from '../tuning/example.js';
import type { TrainingModel } from '../tuning/training-model.js';
import type { TextScores } from './scores/scores.js';

/** One compiled model, open in both ways: the graphs that train give losses, those that serve give text. The caller disposes both. */
export interface EvaluationModel {
  readonly training: TrainingModel;
  readonly served: Model;
  readonly tokenizer: Tokenizer;
}

/** How text is generated; the paper's is `{ beams: 5, lengthPenalty: 1, maxTokens: 100 }`. */
export interface GenerationSettings {
  readonly beams: number;
  /** As in `BeamRequest`. */
  readonly lengthPenalty: number;
  readonly maxTokens: number;
}

export interface EvaluateOptions {
  readonly examples: readonly TrainingExample[];
  /** Directory of an adapter; undefined: the bare model. */
  readonly adapter: string | undefined;
  /** Undefined: nothing is generated and there are no scores of texts. */
  readonly generation: GenerationSettings | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
}

export interface EvaluationProgress {
  readonly phase: 'loss' | 'generation';
  readonly done: number;
  readonly total: number;
}

/** What was generated for one source. */
export interface Prediction {
  readonly source: string;
  readonly prediction: string;
  readonly references: readonly string[];
}

export interface Evaluation {
  /** Mean per learned token, in nats, and its exponential. */
  readonly loss: number;
  readonly perplexity: number;
  readonly learned_tokens: number;
  /** Different sources among the examples: the texts that are generated. */
  readonly sources: number;
  readonly scores: TextScores | undefined;
  readonly predictions: readonly Prediction[];
}

/**
 * Measures a prefix, or the bare model, on examples: loss of their targets, and scores of one generated text for each different
 * source against all its references.
 * @throws TuningError for examples or an adapter that do not fit the model
 */
export type Evaluate = (model: EvaluationModel, options: EvaluateOptions) => Promise<Evaluation>;
