/** Reasons for which a job is refused or not found. */
export type JobErrorCode =
  | 'job_not_found'
  /** It has ended, or its results are being stored, so it cannot be cancelled. */
  | 'job_finished'
  /** The tenant has as many unfinished jobs as it may have. */
  | 'too_many_jobs'
  /** Its record cannot be read as it was written. */
  | 'job_damaged';

/** An error of a tenant's job. Its message holds ids and limits, never content. */
export class JobError extends Error {
  override readonly name = 'JobError';

  /** @param param the field of the request that is at fault */
  constructor(
    readonly code: JobErrorCode,
    message: string,
    readonly param?: string,
  ) {
    super(message);
  }
}

/** The error for a job whose record is damaged. */
export function damagedJob(id: string): JobError {
  return new JobError('job_damaged', `The stored job ${id} is damaged.`);
}
