import type { TuningError } from '../tuning/errors.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import type { TrainingTask } from './trainer.js';

/** The frozen model, and how much of the machine training may take. */
export interface TrainingHost {
  /** Checkpoint or compiled model. */
  readonly model: string;
  readonly modelName: string | undefined;
  /** Where compiled models are. */
  readonly cache: string;
  readonly threads: number;
  /** 0, as the server, to 19, what the server leaves. */
  readonly nice: number;
}

/**
 * How long the training process may take to stop: for the step under way and a checkpoint. A step that takes longer is done again when
 * training goes on. Milliseconds.
 */
export const STOP_WITHIN = 30_000;

/** What the training process is told. */
export type ToChild =
  | { readonly type: 'train'; readonly host: TrainingHost; readonly task: TrainingTask }
  /** Stop after the step under way. */
  | { readonly type: 'stop' };

/** What it tells. The last message is `done` or `refused`; there is none when it was stopped before training began. */
export type FromChild =
  | { readonly type: 'progress'; readonly line: ProgressLine }
  | { readonly type: 'done'; readonly stop: Stop }
  /** The data or the settings are at fault. */
  | ({ readonly type: 'refused' } & Pick<TuningError, 'subject' | 'problem' | 'where'>);
