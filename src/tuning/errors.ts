/** Something about the data, the settings or the files of a run that its caller can put right; the message names it. */
export class TuningError extends Error {
  override readonly name = 'TuningError';
}

/** The loss is no number any more. */
export class DivergedError extends TuningError {
  constructor(readonly step: number) {
    super(`the loss is no number at step ${step}; lower the learning rate`);
  }
}
