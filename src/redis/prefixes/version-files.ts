import { randomBytes } from 'node:crypto';

import { CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from '../../prefix/adapter/format.js';
import { KV_FILE, type PrefixUpload } from '../../prefix/store.js';
import type { RedisConnection } from '../connection.js';
import { FileDamagedError, type FileLayout, layOut, pieceKeys } from '../pieces.js';
import type { PrefixKeys } from './keys.js';
import { type RedisFileName, TEXT_FILE, type VersionEntry } from './record.js';

/** An upload that is laid out as pieces, under a random id. */
export interface Draft {
  readonly entry: VersionEntry;
  readonly contents: readonly { readonly data: Uint8Array; readonly layout: FileLayout }[];
}

/** Lays out an upload's files as pieces. */
export function draftOf({ info, files, kv, text }: PrefixUpload): Draft {
  const given: [RedisFileName, Uint8Array | undefined][] = [
    [CONFIG_FILE, files.config],
    [MODEL_FILE, files.model],
    [TEMPLATE_FILE, files.template],
    [KV_FILE, kv],
    [TEXT_FILE, text === undefined ? undefined : new TextEncoder().encode(text)],
  ];
  const layouts: Partial<Record<RedisFileName, FileLayout>> = {};
  const contents: Draft['contents'][number][] = [];
  let pieces = 0;
  for (const [name, data] of given) {
    if (data === undefined) continue;
    const layout = layOut(data, pieces);
    layouts[name] = layout;
    contents.push({ data, layout });
    pieces += layout.pieces;
  }
  return { entry: { info, draft: randomBytes(16).toString('hex'), pieces, files: layouts }, contents };
}

/** The files of versions, as pieces. */
export class VersionFiles {
  constructor(private readonly connection: Pick<RedisConnection, 'client' | 'pieces'>) {}

  /** Writes all files. They expire unless the upload is committed. */
  async write(keys: PrefixKeys, { entry, contents }: Draft): Promise<void> {
    for (const { data, layout } of contents) await this.connection.pieces.write(keys, entry.draft, data, layout);
  }

  /** Deletes the pieces of a refused upload. If this fails, they expire. */
  async drop(keys: PrefixKeys, { draft, pieces }: VersionEntry): Promise<void> {
    const dropped = pieceKeys(keys, draft, pieces).map((key) => this.connection.client.unlink(key));
    await Promise.allSettled(dropped);
  }

  /** Whether every file is as it was written. Reads all of them. */
  async areWhole(keys: PrefixKeys, { draft, files }: VersionEntry): Promise<boolean> {
    try {
      for (const layout of Object.values(files)) {
        for await (const _ of this.connection.pieces.read(keys, draft, layout)); // reading checks
      }
      return true;
    } catch (error) {
      if (error instanceof FileDamagedError) return false;
      throw error;
    }
  }
}
