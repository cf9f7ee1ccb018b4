import type { BatchProblem } from './batch.js';

/** `batches_off`: nobody does the batches of this server's store. */
export type BatchErrorCode = 'batches_off';

/** A batch cannot be taken. */
export class BatchError extends Error {
  override readonly name = 'BatchError';

  constructor(
    readonly code: BatchErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** A file is not one of requests. Messages hold numbers of lines and names of fields, never content. */
export class BatchFileError extends Error {
  override readonly name = 'BatchFileError';

  /** @param problems at least one */
  constructor(readonly problems: readonly BatchProblem[]) {
    super(problems[0]?.message ?? '');
  }
}
