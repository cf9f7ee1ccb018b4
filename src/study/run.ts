import { createHash } from 'node:crypto';
import path from 'node:path';

import { type Evaluation, evaluate, type EvaluationModel, type EvaluationProgress } from '../evaluation/evaluate.js';
import type { GenerationSettings } from '../evaluation/generate.js';
import { defaultScores } from '../evaluation/scores/names.js';
import { scoreTexts, type TextScores } from '../evaluation/scores/scores.js';
import type { BaseModel } from '../prefix/kv.js';
import { DivergedError } from '../tuning/errors.js';
import type { TrainingExample } from '../tuning/data/example.js';
import { parameterCount, storedCount, tunedShape } from '../tuning/method.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import { type Schedule, TUNE_DEFAULTS, type TuneSettings } from '../tuning/settings.js';
import { type TooLongReport, tune } from '../tuning/tune.js';
import { drawExamples, splitTest, type StudyData } from './data.js';
import type { PlannedRun, RunSettings } from './plan.js';
import { recorded } from './record.js';
import { MAX_TOKENS, type StudySpec } from './spec.js';

/** The spec, model, data and callbacks that all runs of a study share. */
export interface RunContext {
  readonly spec: StudySpec;
  readonly model: EvaluationModel;
  readonly base: BaseModel;
  /** Most virtual tokens of a run. Longer prefixes could be trained, but not measured. */
  readonly maxLength: number;
  readonly data: StudyData;
  /** Directory of the study; each run has a directory in it. */
  readonly out: string;
  readonly signal: AbortSignal | undefined;
  /** Called before a run is trained whose data has examples that do not fit. */
  readonly onTooLong?: ((run: PlannedRun, report: TooLongReport) => void) | undefined;
  readonly onTraining: ((run: PlannedRun, line: ProgressLine) => void) | undefined;
  readonly onEvaluation: ((run: PlannedRun, progress: EvaluationProgress) => void) | undefined;
}

/** Outcome of training. Losses are means per learned token, in nats; null when there is none. */
export interface Trained {
  readonly stop: Stop | 'diverged' | 'not_trained';
  readonly steps: number;
  readonly best_step: number | null;
  readonly train_loss: number | null;
  readonly valid_loss: number | null;
  /** Count of numbers that training changes. */
  readonly trained_parameters: number;
  /** Count of numbers that the adapter stores. */
  readonly stored_parameters: number;
}

/** Results on one part of the test data; `loss` is the mean per learned token, in nats. */
export interface Measured {
  readonly loss: number;
  readonly learned_tokens: number;
  readonly sources: number;
  readonly scores?: TextScores | undefined;
}

/** Results on the test data. */
export interface Tested {
  readonly all: Measured;
  /** Present when the test data has both seen and unseen categories. */
  readonly seen?: Measured;
  /** Present when the test data has unseen categories. */
  readonly unseen?: Measured;
}

/** Trains a run, resumes it, or returns the recorded outcome. Throws the signal's reason when interrupted. */
export function trainRun(context: RunContext, run: PlannedRun): Promise<Trained> {
  const { spec, base, data } = context;
  const train = drawExamples(data.train, run.settings);
  const key = sha256({
    settings: run.settings,
    training: spec.training,
    base: base.fingerprint,
    train,
    valid: data.valid,
  });
  return recorded(path.join(directoryOf(context, run), 'trained.json'), key, () => {
    const { method } = run.settings;
    return method === 'none' ? validateBare(context) : trainPrefix(context, run, { ...run.settings, method }, train);
  });
}

async function validateBare({ spec, model, data: { valid }, signal }: RunContext): Promise<Trained> {
  const measured =
    valid &&
    (await evaluate(model, {
      examples: valid,
      adapter: undefined,
      generation: undefined,
      tooLong: spec.training?.too_long,
      signal,
    }));
  return {
    stop: 'not_trained',
    steps: 0,
    best_step: null,
    train_loss: null,
    valid_loss: measured?.loss ?? null,
    trained_parameters: 0,
    stored_parameters: 0,
  };
}

async function trainPrefix(
  context: RunContext,
  run: PlannedRun,
  settings: RunSettings & Pick<TuneSettings, 'method'>,
  train: readonly TrainingExample[],
): Promise<Trained> {
  const { spec, model, base, data, signal, onTraining, onTooLong } = context;
  const tooLong = spec.training?.too_long;
  const frozen = model.training.options.manifest.shape;
  const { method, length, mlp, init, lr: learningRate, seed } = settings;
  const sites = settings.sites?.split(',');
  const shape = tunedShape(frozen, { method, mlp, sites }, length);
  const parameters = {
    trained_parameters: parameterCount(frozen, shape),
    stored_parameters: storedCount(frozen, shape),
  };
  try {
    const result = await tune({
      model: model.training,
      base,
      encoder: model.tokenizer,
      settings: { ...scheduleOf(spec), method, sites, length, mlp, init, learningRate, seed, tooLong },
      train,
      valid: data.valid,
      out: directoryOf(context, run),
      signal,
      ...(onTooLong && { onTooLong: (report: TooLongReport) => onTooLong(run, report) }),
      ...(onTraining && { onProgress: (line: ProgressLine) => onTraining(run, line) }),
    });
    if (result.stop === 'interrupted') signal?.throwIfAborted();
    const { stop, steps, best_step, train_loss, valid_loss } = result;
    return { stop, steps, best_step, train_loss, valid_loss, ...parameters };
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    return { stop: 'diverged', steps: error.step, best_step: null, train_loss: null, valid_loss: null, ...parameters };
  }
}

/** The spec's schedule, with the defaults of `preamble tune`. */
function scheduleOf({ training = {} }: StudySpec): Omit<Schedule, 'learningRate' | 'seed'> {
  return {
    epochs: training.epochs ?? TUNE_DEFAULTS.epochs,
    maxSteps: training.max_steps,
    warmupSteps: training.warmup_steps ?? TUNE_DEFAULTS.warmupSteps,
    batchSize: training.batch_size ?? TUNE_DEFAULTS.batchSize,
    evaluateEvery: training.eval_every ?? TUNE_DEFAULTS.evaluateEvery,
    patience: training.patience,
    checkpointEvery: training.checkpoint_every ?? TUNE_DEFAULTS.checkpointEvery,
    lossMean: training.loss_mean,
  };
}

/**
 * Measures a trained run on the test data, or returns the recorded results. Throws the signal's reason when
 * interrupted.
 */
export function testRun(context: RunContext, run: PlannedRun, test: readonly TrainingExample[]): Promise<Tested> {
  const { spec, base, data } = context;
  const { settings } = run;
  const key = sha256({
    settings,
    training: spec.training,
    base: base.fingerprint,
    train: data.train,
    valid: data.valid,
    test,
    generation: spec.generation,
  });
  return recorded(path.join(directoryOf(context, run), 'tested.json'), key, async () => {
    const { seen, unseen } = splitTest({ test, unseen: data.unseen });
    const measured = (evaluations: readonly Evaluation[]): Measured => combine(context, evaluations);
    if (seen.length === 0 || unseen.length === 0) {
      const all = measured([await measure(context, run, test)]);
      return unseen.length === 0 ? { all } : { all, unseen: all };
    }
    const [one, other] = [await measure(context, run, seen), await measure(context, run, unseen)];
    return { all: measured([one, other]), seen: measured([one]), unseen: measured([other]) };
  });
}

function measure(context: RunContext, run: PlannedRun, examples: readonly TrainingExample[]): Promise<Evaluation> {
  const { spec, model, signal, onEvaluation } = context;
  return evaluate(model, {
    examples,
    adapter: run.settings.method === 'none' ? undefined : directoryOf(context, run),
    generation: spec.generation && toSettings(spec.generation),
    scores: [], // computed over all evaluations together
    signal,
    ...(onEvaluation && { onProgress: (progress: EvaluationProgress) => onEvaluation(run, progress) }),
  });
}

function toSettings(generation: NonNullable<StudySpec['generation']>): GenerationSettings {
  return {
    beams: generation.beams ?? 5,
    lengthPenalty: generation.length_penalty ?? 1,
    maxTokens: generation.max_tokens ?? MAX_TOKENS,
    minTokens: generation.min_tokens,
    noRepeatNgramSize: generation.no_repeat_ngram_size,
    earlyStopping: generation.early_stopping,
  };
}

/** Combines evaluations of different sources. */
function combine({ spec, base }: RunContext, evaluations: readonly Evaluation[]): Measured {
  const tokens = evaluations.reduce((sum, { learned_tokens }) => sum + learned_tokens, 0);
  const texts = evaluations.flatMap(({ predictions }) => predictions);
  return {
    loss: evaluations.reduce((sum, { loss, learned_tokens }) => sum + (loss * learned_tokens) / tokens, 0),
    learned_tokens: tokens,
    sources: evaluations.reduce((sum, { sources }) => sum + sources, 0),
    ...(texts.length > 0 && {
      scores: scoreTexts(
        texts.map(({ prediction, references }) => ({ hypothesis: prediction, references })),
        spec.generation?.scores ?? defaultScores(base),
      ),
    }),
  };
}

function directoryOf({ out }: RunContext, { name }: PlannedRun): string {
  return path.join(out, 'runs', name);
}

function sha256(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
