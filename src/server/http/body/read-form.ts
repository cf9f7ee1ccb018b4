import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';

import { ApiError, toApiError } from '../../errors.js';
import { FileBytes } from './file-bytes.js';

/** Bytes of a file that are read in one turn of the event loop. */
const READ_A_TURN = 2 ** 18;

/** File name for a part that the client sent without one. */
const UNNAMED = 'file';

/**
 * Reads a multipart body into memory, within the limits of the multipart plugin. Text fields become strings; files
 * become buffers with a `filename`.
 * @param maxBytes size of the whole form: bytes outside of the parts have no other limit
 * @throws ApiError when the form is broken, too large or has a field twice
 */
export async function readForm(request: FastifyRequest, maxBytes: number): Promise<Record<string, unknown>> {
  // Adding a listener makes the body flow from the next tick on. The parser listens by then.
  const tooLarge = countBytes(request.raw, maxBytes);
  return Promise.race([readParts(request, mostBytesOf(request, maxBytes)), tooLarge]);
}

/** Rejects when the body exceeds `maxBytes`. Never resolves. */
function countBytes(body: Readable, maxBytes: number): Promise<never> {
  let bytes = 0;
  return new Promise((_, reject) => {
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) reject(new ApiError('request_too_large', 'The form is larger than this server accepts.'));
    });
  });
}

/** @param mostBytes size that no file of the form exceeds */
async function readParts(request: FastifyRequest, mostBytes: number): Promise<Record<string, unknown>> {
  const fields: [string, unknown][] = [];
  try {
    for await (const part of request.parts()) {
      const { fieldname } = part;
      if (part.type === 'file') {
        const filename = (part.filename as string | undefined) ?? UNNAMED;
        fields.push([fieldname, Object.assign(await readFile(part, mostBytes), { filename })]);
      } else {
        fields.push([fieldname, part.value]);
      }
    }
  } catch (thrown) {
    const error = toApiError(thrown);
    // The parser's errors about a broken form have no code.
    if (error.code !== 'internal_error') throw error;
    throw new ApiError('invalid_multipart', 'The form cannot be read.', { cause: thrown });
  }
  refuseTwice(fields.map(([name]) => name));
  return Object.fromEntries(fields);
}

/** The bytes of a file. Others are served while they come. */
async function readFile({ file }: MultipartFile, mostBytes: number): Promise<Buffer> {
  const bytes = new FileBytes(mostBytes);
  let turnEnd = READ_A_TURN;
  for await (const chunk of file) {
    bytes.append(chunk as Buffer);
    if (bytes.length < turnEnd) continue;
    await setImmediate();
    turnEnd = bytes.length + READ_A_TURN;
  }
  if (file.truncated) throw new ApiError('request_too_large', 'A file is larger than this server accepts.');
  return bytes.finish();
}

/** Size of the body as far as it is known before it is read. @param maxBytes as `readForm` */
function mostBytesOf({ headers }: FastifyRequest, maxBytes: number): number {
  // Node refuses a content-length that is no number, and ends a body there.
  return Math.min(maxBytes, Number(headers['content-length'] ?? maxBytes));
}

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return;
  throw new ApiError('invalid_multipart', `'${twice}' is given twice.`, { param: twice });
}
