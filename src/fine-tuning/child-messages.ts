import type { TuningError } from '../tuning/errors.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import type { TooLongReport } from '../tuning/tune.js';
import type { TrainingDiskError, TrainingTask } from './trainer.js';

/** The frozen model, and how much of the machine training may take. */
export interface TrainingHost {
  /** Checkpoint or compiled model. */
  readonly model: string;
  readonly modelName: string | undefined;
  /** Directory of compiled models. */
  readonly cache: string;
  readonly threads: number;
  /** Nice value: 0, the server's, to 19, after all others. */
  readonly nice: number;
}

/**
 * Longest time for the training process to finish its step and write a checkpoint once it is told to stop. A step that takes longer is
 * computed again when training continues.
 */
export const STOP_WITHIN_MS = 30_000;

/** A message to the training process. */
export type ToChild =
  | { readonly type: 'train'; readonly host: TrainingHost; readonly task: TrainingTask }
  /** Stop after the step under way. */
  | { readonly type: 'stop' };

/** A message from the training process. The last one is `done`, `refused` or `disk`, but missing if the process was stopped before training began. */
export type FromChild =
  | { readonly type: 'progress'; readonly line: ProgressLine }
  /** Some examples did not fit, and training goes on. */
  | ({ readonly type: 'too_long' } & TooLongReport)
  | { readonly type: 'done'; readonly stop: Stop }
  /** Its files could not be read or written. */
  | ({ readonly type: 'disk' } & Pick<TrainingDiskError, 'code' | 'syscall'>)
  /** The data or the settings are at fault. */
  | ({ readonly type: 'refused' } & Pick<TuningError, 'subject' | 'problem' | 'where' | 'remedy'>);
