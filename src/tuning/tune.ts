import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';

import { ifExists } from '../disk/durable.js';
import type { BaseModel } from '../prefix/kv.js';
import { adapterFiles, writeAdapter } from './adapter-files.js';
import { TrainingCheckpoints } from './training/training-checkpoints.js';
import { Curve } from './progress/curve.js';
import { type DataSubject, DivergedError, TuningError } from './errors.js';
import type { TrainingExample } from './data/example.js';
import { initialValues } from './start/initial-values.js';
import type { Method } from './method.js';
import { type ProgressLine, ProgressMeter } from './progress/progress-meter.js';
import { RandomStream } from './start/random-stream.js';
import { startRows } from './start/start-rows.js';
import type { PromptEncoder } from '../tokenizer/token-encoder.js';
import { type FittingExamples, tokenExamples } from './data/tokens.js';
import type { TooLongCounts } from './data/too-long.js';
import type { TuneSettings } from './settings.js';
import { type Stop, totalSteps, train } from './training/trainer.js';
import type { TrainingModel } from './training/training-model.js';

export interface TuneJob {
  readonly model: TrainingModel;
  readonly base: BaseModel;
  readonly encoder: PromptEncoder;
  readonly settings: TuneSettings;
  /** Directory of an adapter to go on from, instead of `settings.init`. */
  readonly adapter?: string | undefined;
  /** Most virtual tokens of the adapter, at each site; what the context has room for unless given. */
  readonly maxLength?: number | undefined;
  readonly train: readonly TrainingExample[];
  readonly valid?: readonly TrainingExample[] | undefined;
  /** Receives the adapter, the curves and, while training runs, checkpoints. */
  readonly out: string;
  /** Seconds of training, earlier processes included, after which the run ends with the best so far. */
  readonly maxSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (line: ProgressLine) => void;
  /** Called before training for data with examples that do not fit, unless they end the run. */
  readonly onTooLong?: ((report: TooLongReport) => void) | undefined;
}

/** Examples that did not fit, and the data that they are of. */
export interface TooLongReport extends TooLongCounts {
  readonly subject: DataSubject;
}

/** Losses are means per learned token, in nats. */
export interface TuneResult {
  readonly stop: Stop;
  readonly steps: number;
  /** Steps that an earlier, interrupted process had done. */
  readonly resumed_from: number;
  /** Over the last epoch. */
  readonly train_loss: number | null;
  /** Validation loss of the adapter that was written. */
  readonly valid_loss: number | null;
  /** The step that it is from. */
  readonly best_step: number | null;
  /** Tokens that were read in training, without padding. */
  readonly tokens_per_second: number;
  readonly method: Method;
  readonly num_virtual_tokens: number;
  /** Virtual tokens at each trained site of an encoder-decoder. */
  readonly sites?: Readonly<Record<string, number>>;
  /** Examples of the training data that did not fit the context, and those of the validation data, if there is any. */
  readonly too_long: {
    readonly train: Pick<TooLongCounts, 'skipped' | 'cut'>;
    readonly valid: Pick<TooLongCounts, 'skipped' | 'cut'> | null;
  };
}

/**
 * Trains a prefix on one user's examples and writes the files that PEFT loads to `out`. It goes on from a checkpoint of the
 * same run that it finds there, to the same result. Interrupted, it writes the best so far and leaves the checkpoint.
 * Throws `TuningError` for data or settings that cannot be trained with, and the signal's reason where training had not begun.
 */
export async function tune(job: TuneJob): Promise<TuneResult> {
  const { model, settings, base, encoder, out, signal } = job;
  const { manifest } = model.options;
  if (job.adapter !== undefined) await refuseSameDirectory(job.adapter, out);
  const start = await startRows(model, { ...settings, adapter: job.adapter, base, encoder });
  const { shape } = start;
  if (shape.length > (job.maxLength ?? Infinity)) {
    throw new TuningError('length', `${shape.length} virtual tokens; at most ${job.maxLength} are accepted`);
  }
  const { tooLong, ...decisive } = settings; // the examples tell it
  const toTokens = async (all: readonly TrainingExample[], subject: DataSubject): Promise<FittingExamples> => {
    const { generation } = model;
    const options = { encoder, manifest, generation, length: shape.length, subject, tooLong, signal };
    const fitting = await tokenExamples(all, options);
    if (fitting.counts.skipped + fitting.counts.cut > 0) job.onTooLong?.({ subject, ...fitting.counts });
    return fitting;
  };
  const { examples, counts } = await toTokens(job.train, 'train');
  const { examples: valid, counts: validCounts } = (job.valid && (await toTokens(job.valid, 'valid'))) ?? {};
  if (settings.patience !== undefined && valid === undefined)
    throw new TuningError('patience', 'early stopping needs validation data');

  await fs.mkdir(out, { recursive: true });
  const rows = start.rows && sha256(...start.rows.values());
  const run = sha256(JSON.stringify({ settings: decisive, shape, rows, examples, valid, base: base.fingerprint }));
  const checkpoints = new TrainingCheckpoints(out, run);
  const saved = await checkpoints.load();
  const random = new RandomStream(settings.seed, 0);
  const initial = (): ReturnType<typeof initialValues> =>
    initialValues({ frozen: manifest.shape, shape, random, tokenEmbeddings: model.tokenEmbeddings, rows: start.rows });
  const state = saved ?? { step: 0, values: initial(), best: undefined, worse: 0, seconds: 0 };
  const curve = await Curve.open(out, state.step);
  const meter = new ProgressMeter(state.step, totalSteps(examples.length, settings), job.onProgress);

  const result = await train({
    model,
    shape,
    train: examples,
    valid,
    schedule: settings,
    state,
    maxSeconds: job.maxSeconds,
    signal,
    onPoint: async (point, tokens) => {
      await curve.add(point);
      meter.add(point, tokens);
    },
    onCheckpoint: (saving) => checkpoints.save(saving),
  });
  const exported = await model.exportRows(shape, result.values);
  if (![...exported.values()].every((of) => of.every(Number.isFinite))) throw new DivergedError(result.steps);
  await writeAdapter(out, adapterFiles(shape, exported, base));
  await curve.draw();
  if (result.stop !== 'interrupted') await checkpoints.remove();
  return {
    stop: result.stop,
    steps: result.steps,
    resumed_from: saved?.step ?? 0,
    train_loss: curve.trainLoss(Math.ceil(examples.length / settings.batchSize)),
    valid_loss: result.best?.loss ?? null,
    best_step: result.best?.step ?? null,
    tokens_per_second: meter.tokensPerSecond,
    method: shape.method,
    num_virtual_tokens: shape.length,
    ...(shape.sites && { sites: shape.sites }),
    too_long: { train: leftOutAndCut(counts), valid: validCounts ? leftOutAndCut(validCounts) : null },
  };
}

function leftOutAndCut({ skipped, cut }: TooLongCounts): Pick<TooLongCounts, 'skipped' | 'cut'> {
  return { skipped, cut };
}

/** A run that wrote over its own start could not be gone on with. */
async function refuseSameDirectory(adapter: string, out: string): Promise<void> {
  const [from, to] = await Promise.all([adapter, out].map((directory) => ifExists(fs.realpath(directory))));
  if (from === undefined || from !== to) return;
  throw new TuningError('out', `${out} is the adapter that training goes on from; choose another directory`);
}

function sha256(...contents: readonly (string | Float32Array)[]): string {
  return contents.reduce((hash, content) => hash.update(content), createHash('sha256')).digest('hex');
}
