import { AdamW, clipScale, linearSchedule } from './adamw.js';
import type { Best, TrainingState } from './training-checkpoints.js';
import { DivergedError } from '../errors.js';
import type { TokenExample } from '../data/example.js';
import { meanLoss } from './mean-loss.js';
import type { TunedShape } from '../method.js';
import type { Schedule } from '../settings.js';
import { RandomStream } from '../start/random-stream.js';
import { runParts, stepParts } from './step-parts.js';
import type { LossGraph, TrainingModel } from './training-model.js';
import { copyValues, type Values } from './values.js';

/** Norm that the gradients are clipped to. */
const CLIP_NORM = 1;
/** Random streams of a seed: 0 is the initial values', the epochs' orders follow. */
const FIRST_ORDER_STREAM = 1;

/** One step or one validation. Losses are means per learned token, in nats. */
export type CurvePoint =
  | { readonly step: number; readonly train_loss: number; readonly learned_tokens: number; readonly lr: number }
  | { readonly step: number; readonly valid_loss: number };

export interface TrainerOptions {
  readonly model: TrainingModel;
  readonly shape: TunedShape;
  readonly train: readonly TokenExample[];
  readonly valid: readonly TokenExample[] | undefined;
  readonly schedule: Schedule;
  /** Where training starts; its values and moments are changed. */
  readonly state: Omit<TrainingState, 'moments'> & Partial<Pick<TrainingState, 'moments'>>;
  /** Seconds of training, earlier processes included, after which the run ends. */
  readonly maxSeconds?: number | undefined;
  /** Stops after the step under way. */
  readonly signal?: AbortSignal | undefined;
  readonly onPoint: (point: CurvePoint, tokens: number) => Promise<void> | void;
  readonly onCheckpoint: (state: TrainingState) => Promise<void>;
}

/** Why training ended. */
export type Stop = 'finished' | 'early_stopping' | 'time_limit' | 'interrupted';

export interface TrainingResult {
  readonly stop: Stop;
  readonly steps: number;
  /** The best of the validations, or the last values where there is no validation. */
  readonly values: Values;
  readonly best: Best | undefined;
}

/** Number of steps of a run: `maxSteps` if it is given, over as many epochs as that takes, else those of `epochs`. */
export function totalSteps(examples: number, { epochs, batchSize, maxSteps }: Schedule): number {
  return maxSteps ?? epochs * Math.ceil(examples / batchSize);
}

/**
 * Trains until the schedule ends, validations get no better, its time is over or the signal comes. Throws
 * `DivergedError` when the loss is NaN or infinite.
 */
export async function train(options: TrainerOptions): Promise<TrainingResult> {
  const { model, shape, valid } = options;
  const loss = await model.openLoss(shape, true);
  try {
    const validation = valid && (await model.openLoss(shape, false));
    try {
      return await new Run(options, loss, validation).toEnd();
    } finally {
      await validation?.dispose();
    }
  } finally {
    await loss.dispose();
  }
}

class Run {
  readonly #begun = performance.now();
  readonly #values: Values;
  readonly #optimizer: AdamW;
  readonly #total: number;
  #step: number;
  #best: Best | undefined;
  #worse: number;
  #order: { epoch: number; indices: readonly number[] } | undefined;

  constructor(
    private readonly options: TrainerOptions,
    private readonly loss: LossGraph,
    private readonly validation: LossGraph | undefined,
  ) {
    const { state, train, schedule } = options;
    this.#values = state.values;
    this.#optimizer = new AdamW(state.values, state.moments);
    this.#step = state.step;
    this.#best = state.best;
    this.#worse = state.worse;
    this.#total = totalSteps(train.length, schedule);
  }

  async toEnd(): Promise<TrainingResult> {
    const { schedule, maxSeconds = Infinity, signal } = this.options;
    let stop: Stop = 'finished';
    while (this.#step < this.#total) {
      if (this.#worse >= (schedule.patience ?? Infinity)) {
        stop = 'early_stopping';
        break;
      }
      if (this.#seconds() >= maxSeconds) {
        stop = 'time_limit';
        break;
      }
      if (signal?.aborted) {
        stop = 'interrupted';
        await this.#checkpoint();
        break;
      }
      await this.#train();
      if (this.#step % schedule.evaluateEvery === 0 || this.#step === this.#total) await this.#validate();
      if (this.#step % schedule.checkpointEvery === 0) await this.#checkpoint();
    }
    return { stop, steps: this.#step, values: this.#best?.values ?? this.#values, best: this.#best };
  }

  async #train(): Promise<void> {
    const { schedule, shape, model, onPoint } = this.options;
    const parts = stepParts(this.#nextExamples(), model.options.manifest.shape, shape, schedule.lossMean);
    const { losses, gradients } = await runParts(this.loss, this.#values, parts);
    const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
    if (!Number.isFinite(mean)) throw new DivergedError(this.#step + 1);
    const lr = linearSchedule(schedule.learningRate, this.#step, this.#total, schedule.warmupSteps);
    this.#step++;
    this.#optimizer.step(gradients, this.#step, lr, clipScale(gradients, CLIP_NORM));
    await onPoint(
      { step: this.#step, train_loss: mean, learned_tokens: losses.length, lr },
      parts.reduce((sum, { tokens }) => sum + tokens, 0),
    );
  }

  /** The examples of the next step; every epoch has an order of its own. */
  #nextExamples(): TokenExample[] {
    const { train, schedule } = this.options;
    const perEpoch = Math.ceil(train.length / schedule.batchSize);
    const epoch = Math.floor(this.#step / perEpoch);
    if (this.#order?.epoch !== epoch) {
      const random = new RandomStream(schedule.seed, FIRST_ORDER_STREAM + epoch);
      this.#order = { epoch, indices: random.permutation(train.length) };
    }
    const first = (this.#step % perEpoch) * schedule.batchSize;
    return this.#order.indices.slice(first, first + schedule.batchSize).map((index) => train[index] as TokenExample);
  }

  async #validate(): Promise<void> {
    const { valid: examples, onPoint, schedule, shape, model } = this.options;
    if (examples === undefined || this.validation === undefined) return;
    const frozen = model.options.manifest.shape;
    const options = { examples, frozen, shape, batchSize: schedule.batchSize };
    const { loss } = await meanLoss(this.validation, this.#values, options);
    const better = loss < (this.#best?.loss ?? Infinity);
    this.#worse = better ? 0 : this.#worse + 1;
    if (better) this.#best = { step: this.#step, loss, values: copyValues(this.#values) };
    await onPoint({ step: this.#step, valid_loss: loss }, 0);
  }

  #checkpoint(): Promise<void> {
    const state = { step: this.#step, values: this.#values, best: this.#best, worse: this.#worse };
    return this.options.onCheckpoint({ ...state, moments: this.#optimizer.moments, seconds: this.#seconds() });
  }

  #seconds(): number {
    return this.options.state.seconds + (performance.now() - this.#begun) / 1000;
  }
}
