import { FineTuningError } from './errors.js';
import type { TrainingFile } from './file.js';
import type { Page, PageOptions } from './page.js';

/** What a tenant may keep. */
export interface FileQuota {
  readonly maxFiles: number;
  /** Of all its files together. */
  readonly maxBytes: number;
}

/** The files of all tenants. A file of another tenant is not found. Every method throws `FineTuningError` `store_unavailable` where the store is away. */
export interface TrainingFileStore {
  /**
   * Adds a file with its content, whole or not at all.
   * @throws FineTuningError `file_quota_exceeded`; nothing is stored then
   */
  put(tenant: string, file: TrainingFile, content: Uint8Array, quota?: FileQuota): Promise<void>;
  get(tenant: string, id: string): Promise<TrainingFile | undefined>;
  content(tenant: string, id: string): Promise<Uint8Array | undefined>;
  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<TrainingFile>>;
  /** False when there was none. */
  delete(tenant: string, id: string): Promise<boolean>;
}

/** Whether a tenant that has `files` may add one more. Throws `file_quota_exceeded`, naming limit and use. */
export function checkFileQuota(
  files: readonly Pick<TrainingFile, 'bytes'>[],
  added: Pick<TrainingFile, 'bytes'>,
  { maxFiles, maxBytes }: FileQuota,
): void {
  const refuse = (problem: string): FineTuningError => new FineTuningError('file_quota_exceeded', problem, 'file');
  if (files.length + 1 > maxFiles) throw refuse(`file: ${files.length} of at most ${maxFiles} files are used`);
  const used = files.reduce((sum, { bytes }) => sum + bytes, 0);
  if (used + added.bytes > maxBytes) {
    throw refuse(`file: ${used} of at most ${maxBytes} bytes are used, and this file has ${added.bytes}`);
  }
}
