import type { FileStream } from '../disk/file-stream.js';
import { FineTuningError } from './errors.js';
import type { TrainingFile } from './file.js';
import type { Page, PageOptions } from '../lib/page.js';

export type { FileStream } from '../disk/file-stream.js';

/** What a tenant may keep. */
export interface FileQuota {
  readonly maxFiles: number;
  /** Of all its files together. */
  readonly maxBytes: number;
}

/** The files of all tenants. A file of another tenant is not found. Every method throws `StoreError` where the store cannot do it. */
export interface TrainingFileStore {
  /**
   * Adds a file with its content, whole or not at all.
   * @throws FineTuningError `file_quota_exceeded`; nothing is stored then
   */
  put(tenant: string, file: TrainingFile, content: Uint8Array, quota?: FileQuota): Promise<void>;
  get(tenant: string, id: string): Promise<TrainingFile | undefined>;
  content(tenant: string, id: string): Promise<Uint8Array | undefined>;
  /** As `content`, for who takes it little by little. */
  stream(tenant: string, id: string): Promise<FileStream | undefined>;
  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<TrainingFile>>;
  /** False when there was none. */
  delete(tenant: string, id: string): Promise<boolean>;
}

/** Whether a tenant that uses so much may add a file. Throws `file_quota_exceeded`, naming limit and use. */
export function checkFileQuota(
  used: { readonly files: number; readonly bytes: number },
  added: Pick<TrainingFile, 'bytes'>,
  { maxFiles, maxBytes }: FileQuota,
): void {
  const refuse = (problem: string): FineTuningError => new FineTuningError('file_quota_exceeded', problem, 'file');
  if (used.files + 1 > maxFiles) throw refuse(`file: ${used.files} of at most ${maxFiles} files are used`);
  if (used.bytes + added.bytes > maxBytes) {
    throw refuse(`file: ${used.bytes} of at most ${maxBytes} bytes are used, and this file has ${added.bytes}`);
  }
}
