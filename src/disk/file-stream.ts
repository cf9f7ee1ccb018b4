import fs from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { ifExists } from './durable.js';

/** A stored file, read as its bytes are consumed. Its owner must read `content` to the end or destroy it. */
export interface FileStream {
  /** Size of the whole file. */
  readonly bytes: number;
  /** Errors instead of ending if the file is cut short. */
  readonly content: Readable;
}

/** Bytes read ahead of the consumer. */
const READ_AHEAD_BYTES = 64 * 1024;

/**
 * Opens a file for streaming. A file that is deleted meanwhile is still read to its end. Undefined when it does not
 * exist.
 */
export async function streamFile(file: string): Promise<FileStream | undefined> {
  const handle = await ifExists(fs.open(file));
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    // With its last byte the stream ends, without another read: a client that has all may be gone by then, and its answer look unfinished.
    const whole = size > 0 ? { start: 0, end: size - 1 } : {};
    return { bytes: size, content: handle.createReadStream({ highWaterMark: READ_AHEAD_BYTES, ...whole }) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
