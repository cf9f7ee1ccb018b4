import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import type { Stop } from '../tuning/training/trainer.js';
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

export interface TrainingOptions {
  /** Ends training after the step under way, or in the midst of one that takes too long. */
  readonly signal: AbortSignal;
  readonly onProgress: (line: ProgressLine) => void;
}

/**
 * Trains. Throws `TrainingRefusedError` for data or settings that cannot be trained with, and `TrainingCrashedError` where training ended for
 * a reason of its own. That, and what was `interrupted`, goes on from its checkpoint when it is tried again.
 */
export type Trainer = (task: TrainingTask, options: TrainingOptions) => Promise<Stop>;

/** Something that the job's owner can put right; the message names file, line and field. */
export class TrainingRefusedError extends Error {
  override readonly name = 'TrainingRefusedError';
}

export class TrainingCrashedError extends Error {
  override readonly name = 'TrainingCrashedError';
}
