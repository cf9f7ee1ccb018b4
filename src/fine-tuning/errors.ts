/** Reasons for which a job is refused or not found. */
export type FineTuningErrorCode =
  | 'job_not_found'
  /** It has ended already, or its prefix is being stored, so it cannot be cancelled. */
  | 'job_finished'
  /** The tenant has as many jobs queued and running as it may have. */
  | 'too_many_jobs'
  /** Nobody takes jobs from this server's store. */
  | 'fine_tuning_off';

/** An error of a job. Its message holds ids and limits, never content. */
export class FineTuningError extends Error {
  override readonly name = 'FineTuningError';

  constructor(
    readonly code: FineTuningErrorCode,
    message: string,
    /** The field of the request that is at fault. */
    readonly param?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
