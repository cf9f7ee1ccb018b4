/** Reasons for which a file is refused or not found. */
export type FileErrorCode =
  | 'file_not_found'
  | 'file_quota_exceeded'
  /** A stored file that cannot be read as it was written. */
  | 'file_damaged';

/** An error of a tenant's file. Its message holds ids and limits, never content. */
export class FileError extends Error {
  override readonly name = 'FileError';

  /** @param param the field of the request that is at fault */
  constructor(
    readonly code: FileErrorCode,
    message: string,
    readonly param: string,
  ) {
    super(message);
  }
}

/** The error for a stored file whose record or content is damaged. */
export function damagedFile(id: string): FileError {
  return new FileError('file_damaged', `The stored file ${id} is damaged.`, 'file_id');
}
