import type { TooLong } from './data/too-long.js';
import type { Method } from './method.js';

/** When a run trains, validates, saves and ends, and at which learning rate. */
export interface Schedule {
  readonly learningRate: number;
  /** Passes over the examples; no effect if `maxSteps` is given. */
  readonly epochs: number;
  /** Number of steps, whatever the number of epochs; undefined: those of `epochs`. */
  readonly maxSteps: number | undefined;
  /** Steps in which the learning rate rises. */
  readonly warmupSteps: number;
  /** Examples in a step. */
  readonly batchSize: number;
  /** Steps from one validation to the next. */
  readonly evaluateEvery: number;
  /** Validations without a better one after which training stops; undefined: never. */
  readonly patience: number | undefined;
  /** Steps from one checkpoint to the next. */
  readonly checkpointEvery: number;
  readonly seed: number;
  /** Sentences unless given. */
  readonly lossMean?: LossMean | undefined;
}

/**
 * What the loss of a step is the mean of: `sentences`, each the sum of its tokens' losses, as Li & Liang's code has it for GPT-2; or
 * `tokens`, as it has it for BART.
 */
export const LOSS_MEANS = ['sentences', 'tokens'] as const;
export type LossMean = (typeof LOSS_MEANS)[number];

/** Settings of a training. */
export interface TuneSettings extends Schedule {
  readonly method: Method;
  /** Virtual tokens, at each site; undefined: those of the words or the adapter, else `TUNE_DEFAULTS.length`. */
  readonly length: number | undefined;
  /** Width of the MLP's hidden layer; 0: rows are trained directly. Embeddings are always trained directly. */
  readonly mlp: number;
  /** `random`, or words whose activations are the start. */
  readonly init: string;
  /** Sites of an encoder-decoder that get virtual tokens; all of them unless given. */
  readonly sites?: readonly string[] | undefined;
  /** What becomes of examples that do not fit the context; `fail` unless given. */
  readonly tooLong?: TooLong | undefined;
}

/** Settings of the command line, jobs and studies unless given: the paper's. */
export const TUNE_DEFAULTS = {
  method: 'prefix',
  length: 10,
  mlp: 512,
  init: 'random',
  learningRate: 5e-5,
  epochs: 10,
  warmupSteps: 0,
  batchSize: 5,
  evaluateEvery: 50,
  checkpointEvery: 100,
  seed: 101,
} as const satisfies Partial<TuneSettings>;

/** Validations without a better one that end a run with early stopping. */
export const DEFAULT_PATIENCE = 3;
