import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Redis } from 'ioredis';

import { ConcurrencyLimit } from '../lib/concurrency-limit.js';
import type { FileStream } from '../prefix/store.js';

/** Where a file's bytes are. */
export interface FileLayout {
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** Its pieces are numbered from here. */
  readonly firstPiece: number;
  readonly pieces: number;
}

/** Names the pieces of an upload. */
export interface PieceKeys {
  /** @param draft random, one for each upload */
  piece(draft: string, index: number): string;
}

/** A stored file is not what was stored. */
export class FileDamagedError extends Error {
  override readonly name = 'FileDamagedError';
}

/** Bytes of one value: Redis serves others between two of them. */
const PIECE_BYTES = 512 * 1024;
/** Pieces of all files that are under way together; of one file it is one. */
const MOST_UNDER_WAY = 4;
/** Seconds for which an upload that is never finished is kept. */
const DRAFT_SECONDS = 600;

/** How a file is cut, and what it must be when it is put together again. */
export function layOut(data: Uint8Array, firstPiece: number): FileLayout {
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { bytes: data.length, sha256, firstPiece, pieces: Math.ceil(data.length / PIECE_BYTES) };
}

/**
 * The contents of files, cut into pieces. They have a connection of their own, and few are under way at once, whoever asks: neither
 * small commands nor a file's first piece wait behind all of another file.
 */
export class Pieces {
  readonly #underWay = new ConcurrencyLimit(MOST_UNDER_WAY);

  /** @param client nothing else uses it */
  constructor(readonly client: Redis) {}

  /** Writes a file. Its pieces expire unless the upload is committed. */
  async write(keys: PieceKeys, draft: string, data: Uint8Array, { firstPiece, pieces }: FileLayout): Promise<void> {
    for (let at = 0; at < pieces; at++) {
      const bytes = bufferOf(data.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES));
      const key = keys.piece(draft, firstPiece + at);
      await this.#underWay.run(() => this.client.set(key, bytes, 'EX', DRAFT_SECONDS));
    }
  }

  /**
   * The pieces of a file, each read when it is asked for. The last one comes only when the file is what was stored.
   * @throws FileDamagedError
   */
  async *read(
    keys: PieceKeys,
    draft: string,
    { bytes, sha256, firstPiece, pieces }: FileLayout,
  ): AsyncGenerator<Buffer, void> {
    const hash = createHash('sha256');
    let length = 0;
    for (let at = 0; at < pieces; at++) {
      const key = keys.piece(draft, firstPiece + at);
      const piece = await this.#underWay.run(() => this.client.getBuffer(key));
      if (piece === null) throw new FileDamagedError('a part of a stored file is missing');
      length += piece.length;
      hash.update(piece);
      const isWhole = at < pieces - 1 || (length === bytes && hash.digest('hex') === sha256);
      if (length > bytes || !isWhole) throw new FileDamagedError('a stored file is damaged');
      yield piece;
    }
  }

  /**
   * As `read`, as a stream.
   * @param inWords what the stream fails with instead
   */
  stream(keys: PieceKeys, draft: string, layout: FileLayout, inWords: (error: unknown) => unknown): FileStream {
    const pieces = failingWith(inWords, this.read(keys, draft, layout));
    return { bytes: layout.bytes, content: Readable.from(pieces, { objectMode: false }) };
  }

  /** As `read`, all of it. */
  async readAll(keys: PieceKeys, draft: string, layout: FileLayout): Promise<Uint8Array> {
    const data = Buffer.allocUnsafe(layout.bytes);
    let length = 0;
    for await (const piece of this.read(keys, draft, layout)) length += piece.copy(data, length);
    return data;
  }
}

/** Keys of all pieces of an upload. */
export function pieceKeys(keys: PieceKeys, draft: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => keys.piece(draft, index));
}

async function* failingWith<T>(inWords: (error: unknown) => unknown, items: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* items;
  } catch (error) {
    throw inWords(error);
  }
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
