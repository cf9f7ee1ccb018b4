/** A fault of a run's data, settings or files that its caller can put right; the message names it. */
export class TuningError extends Error {
  override readonly name = 'TuningError';
}

/** Training diverged: the loss is NaN or infinite. */
export class DivergedError extends TuningError {
  constructor(readonly step: number) {
    super(`the loss is no number at step ${step}; lower the learning rate`);
  }
}
