import { createHash } from 'node:crypto';

import type { Redis } from 'ioredis';

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
/** Pieces of one file that are under way together. */
const PARALLEL = 4;
/** Seconds for which an upload that is never finished is kept. */
const DRAFT_SECONDS = 600;

/** How a file is cut, and what it must be when it is put together again. */
export function layOut(data: Uint8Array, firstPiece: number): FileLayout {
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { bytes: data.length, sha256, firstPiece, pieces: Math.ceil(data.length / PIECE_BYTES) };
}

/** Writes a file's pieces. They expire unless the upload is committed. */
export async function writePieces(
  client: Redis,
  keys: PieceKeys,
  draft: string,
  data: Uint8Array,
  { firstPiece, pieces }: FileLayout,
): Promise<void> {
  for (let at = 0; at < pieces; at += PARALLEL) {
    const batch = Array.from({ length: Math.min(PARALLEL, pieces - at) }, (_, i) => at + i);
    await Promise.all(
      batch.map((piece) => {
        const bytes = bufferOf(data.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES));
        return client.set(keys.piece(draft, firstPiece + piece), bytes, 'EX', DRAFT_SECONDS);
      }),
    );
  }
}

/** A file's bytes, checked; undefined when a piece is not there. Throws `FileDamagedError`. */
export async function readPieces(
  client: Redis,
  keys: PieceKeys,
  draft: string,
  { bytes, sha256, firstPiece, pieces }: FileLayout,
): Promise<Uint8Array | undefined> {
  const data = Buffer.allocUnsafe(bytes);
  const hash = createHash('sha256');
  let length = 0;
  for (let at = 0; at < pieces; at += PARALLEL) {
    const batch = Array.from({ length: Math.min(PARALLEL, pieces - at) }, (_, i) => firstPiece + at + i);
    const read = await Promise.all(batch.map((piece) => client.getBuffer(keys.piece(draft, piece))));
    for (const piece of read) {
      if (piece === null) return undefined;
      piece.copy(data, length);
      length += piece.length;
      hash.update(piece);
    }
  }
  if (length === bytes && hash.digest('hex') === sha256) return data;
  throw new FileDamagedError('a stored file is damaged');
}

/** Keys of all pieces of an upload. */
export function pieceKeys(keys: PieceKeys, draft: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => keys.piece(draft, index));
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
