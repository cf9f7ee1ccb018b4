import type { FileStream } from '../disk/file-stream.js';
import { FileError } from './errors.js';
import type { FileRecord } from './file.js';
import type { Page, PageOptions } from '../lib/page.js';

export type { FileStream } from '../disk/file-stream.js';

/** Most that a tenant may keep. */
export interface FileQuota {
  readonly maxFiles: number;
  /** Of all its files together. */
  readonly maxBytes: number;
}

/**
 * Place where the files of all tenants are kept. A file of another tenant is not found. Every method throws `StoreError`. What
 * cannot be read as it was written throws `file_damaged`, is in no list, and can be deleted.
 */
export interface FileStore {
  /**
   * Adds a file with its content, whole or not at all.
   * @throws FileError `file_quota_exceeded`; nothing is stored then
   */
  put(tenant: string, file: FileRecord, content: Uint8Array, quota?: FileQuota): Promise<void>;
  /**
   * Adds a file that the server writes, as its bytes come. It counts for the tenant's quota, and is never refused by it. Nothing is stored
   * if `content` throws.
   */
  write(tenant: string, file: Omit<FileRecord, 'bytes'>, content: AsyncIterable<Uint8Array>): Promise<void>;
  get(tenant: string, id: string): Promise<FileRecord | undefined>;
  content(tenant: string, id: string): Promise<Uint8Array | undefined>;
  /** Opens the content for reading piece by piece. */
  stream(tenant: string, id: string): Promise<FileStream | undefined>;
  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<FileRecord>>;
  /** False when there was none. */
  delete(tenant: string, id: string): Promise<boolean>;
}

/** Checks that a tenant may add a file to those that it has. Throws `file_quota_exceeded`, naming limit and use. */
export function checkFileQuota(
  used: { readonly files: number; readonly bytes: number },
  added: Pick<FileRecord, 'bytes'>,
  { maxFiles, maxBytes }: FileQuota,
): void {
  const refuse = (problem: string): FileError => new FileError('file_quota_exceeded', problem, 'file');
  if (used.files + 1 > maxFiles) throw refuse(`file: ${used.files} of at most ${maxFiles} files are used`);
  if (used.bytes + added.bytes > maxBytes) {
    throw refuse(`file: ${used.bytes} of at most ${maxBytes} bytes are used, and this file has ${added.bytes}`);
  }
}
