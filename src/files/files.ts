import { FileError } from './errors.js';
import { type FilePurpose, type FileRecord, newFileId } from './file.js';
import { checkFileQuota, type FileQuota, type FileStore, type FileStream } from './file-store.js';
import { everything, type Page, pageOf, type PageOptions } from '../lib/page.js';

export interface FilesOptions {
  readonly store: FileStore;
  /** Most that one tenant may keep. */
  readonly quota: FileQuota;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** A page of a tenant's files. */
export interface FileListOptions extends PageOptions {
  /** Unless given, files of every purpose are listed. */
  readonly purpose?: FilePurpose | undefined;
  /** By the time of their upload; unless given, `desc`: newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** The files of all tenants, as requests use them. Throws `FileError`; a file of another tenant is not found. */
export class Files {
  constructor(private readonly options: FilesOptions) {}

  async add(tenant: string, filename: string, purpose: FilePurpose, content: Uint8Array): Promise<FileRecord> {
    const { store, quota, now } = this.options;
    const file: FileRecord = { id: newFileId(), filename, purpose, bytes: content.byteLength, created: now() };
    await store.put(tenant, file, content, quota);
    return file;
  }

  /** Checks that a tenant may have one more file, whatever its size. Throws `file_quota_exceeded`. */
  async checkRoom(tenant: string): Promise<void> {
    const { store, quota } = this.options;
    const files = await everything((page) => store.list(tenant, page));
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    checkFileQuota({ files: files.length, bytes }, { bytes: 0 }, quota);
  }

  async get(tenant: string, id: string): Promise<FileRecord> {
    return (await this.options.store.get(tenant, id)) ?? notFound(id);
  }

  /** Opens a file's content for reading piece by piece. */
  async content(tenant: string, id: string): Promise<FileStream> {
    return (await this.options.store.stream(tenant, id)) ?? notFound(id);
  }

  async list(tenant: string, { purpose, order = 'desc', ...page }: FileListOptions): Promise<Page<FileRecord>> {
    const { store } = this.options;
    if (purpose === undefined && order === 'desc') return store.list(tenant, page);
    const all = await everything((options) => store.list(tenant, options));
    const wanted = all.filter((file) => purpose === undefined || file.purpose === purpose);
    return pageOf(order === 'asc' ? wanted.reverse() : wanted, page);
  }

  /** Deletes a file. A job that is queued with it fails; a job that runs has its own copy. */
  async delete(tenant: string, id: string): Promise<void> {
    if (!(await this.options.store.delete(tenant, id))) notFound(id);
  }

  /** Deletes all files of a tenant, and returns their number. */
  async deleteAll(tenant: string): Promise<number> {
    const { store } = this.options;
    const found = await everything((page) => store.list(tenant, page));
    for (const { id } of found) await store.delete(tenant, id);
    return found.length;
  }

  /**
   * Checks that a request may use a file.
   * @param param the field of the request that names the file
   * @throws FileError `file_not_found` for a file that is missing or has another purpose
   */
  async check(tenant: string, id: string, purpose: FilePurpose, param: string): Promise<void> {
    const file = await this.options.store.get(tenant, id);
    if (file === undefined) throw new FileError('file_not_found', `${param}: there is no file ${id}`, param);
    if (file.purpose === purpose) return;
    throw new FileError('file_not_found', `${param}: ${id} is no file of purpose ${purpose}`, param);
  }
}

function notFound(id: string): never {
  throw new FileError('file_not_found', `There is no file ${id}.`, 'file_id');
}
