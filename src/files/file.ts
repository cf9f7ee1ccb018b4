import { createHash, randomBytes } from 'node:crypto';

/**
 * Purpose of a file. `fine-tune`: uploaded examples. `fine-tune-results`: the curve of a job, written by the server. `batch`: uploaded
 * requests. `batch_output`: the answers to them, or their errors, written by the server.
 */
export type FilePurpose = 'fine-tune' | 'fine-tune-results' | 'batch' | 'batch_output';

/** A file of a tenant, without its content, which never changes. */
export interface FileRecord {
  /** `file-` and 24 hex digits. */
  readonly id: string;
  readonly filename: string;
  readonly purpose: FilePurpose;
  readonly bytes: number;
  /** Unix milliseconds: lists are ordered by it. */
  readonly created: number;
}

export function newFileId(): string {
  return `file-${randomBytes(12).toString('hex')}`;
}

/** The id of a job's result file: the same if the job is finished twice. @param list name of the file, of a job that has several */
export function resultFileId(job: string, list = ''): string {
  return `file-${createHash('sha256')
    .update(job + list)
    .digest('hex')
    .slice(0, 24)}`;
}
