import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Redis } from 'ioredis';

import { ConcurrencyLimit } from '../lib/concurrency-limit.js';
import type { FileStream } from '../prefix/store.js';

/** A file's size, checksum and pieces. */
export interface FileLayout {
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** Number of its first piece. */
  readonly firstPiece: number;
  readonly pieces: number;
}

/** Names the pieces of an upload. */
export interface PieceKeys {
  /** @param draft random, one for each upload */
  piece(draft: string, index: number): string;
}

/** A stored file has changed or is incomplete. */
export class FileDamagedError extends Error {
  override readonly name = 'FileDamagedError';
}

/** Bytes of one piece. Redis serves other commands between two pieces. */
const PIECE_BYTES = 512 * 1024;
/** Pieces, over all files, that are read or written at the same time. Of one file it is one. */
const MOST_UNDER_WAY = 4;
/** Time after which the pieces of an unfinished upload expire. */
const DRAFT_SECONDS = 600;

/** Plans the pieces of a file, and computes the checksum that it is read back by. */
export function layOut(data: Uint8Array, firstPiece: number): FileLayout {
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { bytes: data.length, sha256, firstPiece, pieces: Math.ceil(data.length / PIECE_BYTES) };
}

/**
 * Reads and writes files in pieces, over a connection of its own and a few pieces at a time. So neither small commands nor a file's first
 * piece wait for the whole of another file.
 */
export class Pieces {
  readonly #underWay = new ConcurrencyLimit(MOST_UNDER_WAY);

  /** @param client used for pieces only */
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
   * Writes a file as its bytes come, and returns its layout. Its pieces expire unless the upload is committed; those of one that fails are
   * dropped.
   */
  async writeStream(
    keys: PieceKeys,
    draft: string,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<FileLayout> {
    const hash = createHash('sha256');
    let [bytes, pieces] = [0, 0];
    try {
      for await (const piece of inPieces(content)) {
        hash.update(piece);
        bytes += piece.length;
        const key = keys.piece(draft, pieces++);
        await this.#underWay.run(() => this.client.set(key, piece, 'EX', DRAFT_SECONDS));
      }
      return { bytes, sha256: hash.digest('hex'), firstPiece: 0, pieces };
    } catch (error) {
      await Promise.allSettled(pieceKeys(keys, draft, pieces).map((key) => this.client.unlink(key)));
      throw error;
    }
  }

  /**
   * Reads the pieces of a file, one for each step of the generator. Yields the last one only if the whole file is undamaged.
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
   * Reads a file as a stream.
   * @param inWords converts the error that the stream fails with
   */
  stream(keys: PieceKeys, draft: string, layout: FileLayout, inWords: (error: unknown) => unknown): FileStream {
    const pieces = failingWith(inWords, this.read(keys, draft, layout));
    return { bytes: layout.bytes, content: Readable.from(pieces, { objectMode: false }) };
  }

  /** Reads a whole file. @throws FileDamagedError */
  async readAll(keys: PieceKeys, draft: string, layout: FileLayout): Promise<Uint8Array> {
    const data = Buffer.allocUnsafe(layout.bytes);
    let length = 0;
    for await (const piece of this.read(keys, draft, layout)) length += piece.copy(data, length);
    return data;
  }
}

/** Bytes in pieces of `PIECE_BYTES`, the last of which may be shorter. */
async function* inPieces(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of content) {
    parts.push(part);
    length += part.byteLength;
    if (length < PIECE_BYTES) continue;
    const all = parts.length === 1 ? bufferOf(part) : Buffer.concat(parts);
    const whole = length - (length % PIECE_BYTES);
    for (let at = 0; at < whole; at += PIECE_BYTES) yield all.subarray(at, at + PIECE_BYTES);
    [parts, length] = [[all.subarray(whole)], length - whole];
  }
  if (length > 0) yield Buffer.concat(parts);
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
