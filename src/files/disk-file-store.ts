import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../disk/durable.js';
import { type FileStream, streamFile } from '../disk/file-stream.js';
import { DiskRecords } from './disk-records.js';
import { damagedFile } from './errors.js';
import type { FileRecord } from './file.js';
import { checkFileQuota, type FileQuota, type FileStore } from './file-store.js';
import { type Page, pageOf, type PageOptions } from '../lib/page.js';

const CONTENT_FILE = 'content';

/** Files in a directory: `FileStore` for one process. */
export class DiskFileStore implements FileStore {
  private constructor(private readonly records: DiskRecords<FileRecord>) {}

  static async open(directory: string): Promise<DiskFileStore> {
    const options = { kind: 'files', store: 'files', damaged: damagedFile } as const;
    return new DiskFileStore(await DiskRecords.open(directory, options));
  }

  async put(tenant: string, file: FileRecord, content: Uint8Array, quota?: FileQuota): Promise<void> {
    await this.records.exclusively(tenant, async () => {
      const files = await this.records.all(tenant);
      const bytes = files.reduce((sum, stored) => sum + stored.bytes, 0);
      if (quota) checkFileQuota({ files: files.length, bytes }, file, quota);
      await this.records.add(tenant, () => file, { [CONTENT_FILE]: content });
    });
  }

  async write(tenant: string, file: Omit<FileRecord, 'bytes'>, content: AsyncIterable<Uint8Array>): Promise<void> {
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const part of content) {
        bytes += part.byteLength;
        yield part;
      }
    };
    await this.records.exclusively(tenant, () =>
      this.records.add(tenant, () => ({ ...file, bytes }), { [CONTENT_FILE]: counted() }),
    );
  }

  get(tenant: string, id: string): Promise<FileRecord | undefined> {
    return this.records.get(tenant, id);
  }

  async content(tenant: string, id: string): Promise<Uint8Array | undefined> {
    return this.records.readPart(tenant, id, async ({ bytes }) => {
      const content = await ifExists(fs.readFile(this.#contentFile(tenant, id)));
      return content?.length === bytes ? content : undefined;
    });
  }

  async stream(tenant: string, id: string): Promise<FileStream | undefined> {
    return this.records.readPart(tenant, id, async ({ bytes }) => {
      const stream = await streamFile(this.#contentFile(tenant, id));
      if (stream === undefined || stream.bytes === bytes) return stream;
      stream.content.destroy();
      return undefined;
    });
  }

  async list(tenant: string, options: PageOptions): Promise<Page<FileRecord>> {
    return pageOf(await this.records.all(tenant), options);
  }

  delete(tenant: string, id: string): Promise<boolean> {
    return this.records.exclusively(tenant, () => this.records.remove(tenant, id));
  }

  /** @param id of a file that is there: until then, an id may be any text */
  #contentFile(tenant: string, id: string): string {
    return path.join(this.records.directory(tenant, id), CONTENT_FILE);
  }
}
