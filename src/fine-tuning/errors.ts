/** `fine_tuning_off`: nobody takes jobs from this server's store. */
export type FineTuningErrorCode = 'fine_tuning_off';

/** A job cannot be taken. */
export class FineTuningError extends Error {
  override readonly name = 'FineTuningError';

  constructor(
    readonly code: FineTuningErrorCode,
    message: string,
  ) {
    super(message);
  }
}
