import { randomBytes } from 'node:crypto';

import type { Redis } from 'ioredis';

import { damagedFile } from '../../files/errors.js';
import type { FileRecord } from '../../files/file.js';
import { checkFileQuota, type FileQuota, type FileStream, type FileStore } from '../../files/file-store.js';
import type { Page, PageOptions } from '../../lib/page.js';
import { StoreError } from '../../lib/store-error.js';
import type { RedisConnection } from '../connection.js';
import { newestFirst } from '../newest-first.js';
import { FileDamagedError, pieceKeys, type Pieces } from '../pieces.js';
import { asStoreError, mapRedisErrors } from '../store-error.js';
import { addFile, deleteFile, type StoredFile, FileKeys } from './scripts.js';

const mapErrors = mapRedisErrors('files');

/** Files of tenants on Redis. As an upload of a prefix, one writes pieces that expire and commits them with one script. */
export class RedisFileStore implements FileStore {
  readonly #client: Redis;
  readonly #pieces: Pieces;

  constructor({ client, pieces }: Pick<RedisConnection, 'client' | 'pieces'>) {
    this.#client = client;
    this.#pieces = pieces;
  }

  async put(tenant: string, file: FileRecord, content: Uint8Array, quota?: FileQuota): Promise<void> {
    await this.#upload(tenant, file, [content], quota);
  }

  async write(tenant: string, file: Omit<FileRecord, 'bytes'>, content: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#upload(tenant, file, content);
  }

  async get(tenant: string, id: string): Promise<FileRecord | undefined> {
    return (await this.#find(new FileKeys(tenant), id))?.file;
  }

  async content(tenant: string, id: string): Promise<Uint8Array | undefined> {
    const keys = new FileKeys(tenant);
    const stored = await this.#find(keys, id);
    if (stored === undefined) return undefined;
    try {
      return await mapErrors(this.#pieces.readAll(keys, stored.draft, stored.layout));
    } catch (error) {
      if (!(error instanceof FileDamagedError)) throw error;
      if ((await this.#find(keys, id)) === undefined) return undefined;
      throw damagedFile(id);
    }
  }

  async stream(tenant: string, id: string): Promise<FileStream | undefined> {
    const keys = new FileKeys(tenant);
    const stored = await this.#find(keys, id);
    const inWords = (error: unknown): unknown =>
      error instanceof FileDamagedError ? damagedFile(id) : asStoreError('files', error);
    return stored && this.#pieces.stream(keys, stored.draft, stored.layout, inWords);
  }

  list(tenant: string, options: PageOptions): Promise<Page<FileRecord>> {
    return mapErrors(
      newestFirst(this.#client, new FileKeys(tenant).ids, options, (id) => this.get(tenant, id), 'file_damaged'),
    );
  }

  async delete(tenant: string, id: string): Promise<boolean> {
    const keys = new FileKeys(tenant);
    const text = await mapErrors(this.#client.get(keys.record(id)));
    if (text === null) return false;
    const stored = decode(text); // of a damaged record, nobody knows the pieces
    const pieces = stored ? pieceKeys(keys, stored.draft, stored.layout.pieces) : [];
    const touched = [keys.ids, keys.record(id), keys.bytes, ...pieces];
    return (await mapErrors(deleteFile.run(this.#client, touched, [id, stored?.file.bytes ?? 0]))) === 1;
  }

  async #upload(
    tenant: string,
    record: Omit<FileRecord, 'bytes'>,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    quota?: FileQuota,
  ): Promise<void> {
    const keys = new FileKeys(tenant);
    const draft = randomBytes(16).toString('hex');
    const layout = await mapErrors(this.#pieces.writeStream(keys, draft, content));
    const file = { ...record, bytes: layout.bytes };
    const pieces = pieceKeys(keys, draft, layout.pieces);
    try {
      const stored = JSON.stringify({ file, draft, layout } satisfies StoredFile<FileRecord>);
      const args = [file.id, file.created, stored, file.bytes, quota?.maxFiles ?? '', quota?.maxBytes ?? ''];
      const added = addFile.run(this.#client, [keys.ids, keys.record(file.id), keys.bytes, ...pieces], args);
      const [result, files, bytes] = (await mapErrors(added)) as [string, number, number];
      if (result === 'added') return;
      await this.#drop(pieces);
      if (result === 'quota' && quota) checkFileQuota({ files, bytes }, file, quota);
      if (result !== 'known') throw new StoreError('files', 'too_slow');
    } catch (error) {
      // A commit that was not answered may yet happen: then the pieces are its own. Others expire.
      if (error instanceof StoreError && error.reason === 'full') await this.#drop(pieces);
      throw error;
    }
  }

  /** Throws `file_damaged`. */
  async #find(keys: FileKeys, id: string): Promise<StoredFile<FileRecord> | undefined> {
    const text = await mapErrors(this.#client.get(keys.record(id)));
    if (text === null) return undefined;
    const stored = decode(text);
    if (stored === undefined) throw damagedFile(id);
    return stored;
  }

  async #drop(pieces: readonly string[]): Promise<void> {
    await Promise.allSettled(pieces.map((key) => this.#client.unlink(key)));
  }
}

/** The record of a file; undefined when it is damaged. */
function decode(text: string): StoredFile<FileRecord> | undefined {
  try {
    const { file, draft, layout } = JSON.parse(text) as Partial<StoredFile<FileRecord>>;
    if (file && draft !== undefined && layout) return { file, draft, layout };
  } catch {
    // Not JSON.
  }
  return undefined;
}
