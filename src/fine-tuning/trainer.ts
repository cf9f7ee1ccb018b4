import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
import type { TooLongReport } from '../tuning/tune.js';
import type { JobSettings } from './settings.js';

/** One job's training, with everything that it may see. */
export interface TrainingTask {
  readonly settings: JobSettings;
  /** File of lines of `{"prompt", "completion"}`. */
  readonly train: string;
  readonly valid: string | undefined;
  /** Directory of an adapter to go on from. */
  readonly adapter: string | undefined;
  /** Directory that receives the adapter, the curve and checkpoints. */
  readonly out: string;
  /** Trained for so long, it ends with the best that it has. */
  readonly maxSeconds: number;
}

/** How a training is stopped, and what it tells. */
export interface TrainingOptions {
  /** Ends training after the step under way, or in the midst of one that takes too long. */
  readonly signal: AbortSignal;
  readonly onProgress: (line: ProgressLine) => void;
  /** Called once for a file that has examples that do not fit, if the settings let training go on. */
  readonly onTooLong: (report: TooLongReport) => void;
}

/**
 * Trains. Throws `TuningError` for data or settings that cannot be trained with, `TrainingDiskError`, and `TrainingCrashedError` if the
 * process ended by itself.
 * A crashed or `interrupted` training goes on from its checkpoint when it is called again.
 */
export type Trainer = (task: TrainingTask, options: TrainingOptions) => Promise<Stop>;

/** The training process ended without saying why. */
export class TrainingCrashedError extends Error {
  override readonly name = 'TrainingCrashedError';
}

/** The training process could not read or write its files. */
export class TrainingDiskError extends Error {
  override readonly name = 'TrainingDiskError';

  /**
   * @param code of the system, for example `ENOSPC`
   * @param syscall what failed, for example `write`
   */
  constructor(
    readonly code: string,
    readonly syscall: string,
  ) {
    super(`the training process failed to ${syscall} (${code})`);
  }
}
