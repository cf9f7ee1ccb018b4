import fs from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { ifExists } from './durable.js';

/** A stored file whose bytes are read as they are taken. Whoever gets one reads or destroys it. */
export interface FileStream {
  /** How many there are in all. */
  readonly bytes: number;
  /** Fails, and does not end, where not all of them are there. */
  readonly content: Readable;
}

/** Bytes that are read ahead. */
const AHEAD = 64 * 1024;

/** Opens a file, which is then read to its end though it be deleted meanwhile; undefined when it is not there. */
export async function streamFile(file: string): Promise<FileStream | undefined> {
  const handle = await ifExists(fs.open(file));
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    return { bytes: size, content: handle.createReadStream({ highWaterMark: AHEAD }) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
