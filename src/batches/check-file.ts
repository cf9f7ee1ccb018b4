import { createHash } from 'node:crypto';

import { LineTooLongError, splitLines } from '../lib/byte-lines.js';
import type { BatchEndpoint, BatchProblem } from './batch.js';
import { BatchFileError } from './errors.js';
import { isBlank, readRequestLine } from './request-line.js';

/** Most problems of a file that its owner is told of: it is not read on behind them. */
const MAX_PROBLEMS = 20;

/** Limits of a batch's file. */
export interface BatchFileLimits {
  readonly maxLines: number;
  /** Of one line. */
  readonly maxLineBytes: number;
}

/** What is known of a file of requests without its content. */
export interface CheckedFile {
  /** Requests in it. */
  readonly total: number;
  /** Numbers of the lines whose `custom_id` an earlier line has. */
  readonly duplicates: ReadonlySet<number>;
}

/**
 * Reads a batch's file once, line by line. A line whose body is bad, or whose `custom_id` is used before, is a matter of that line. In
 * memory are one line, and 16 bytes for each `custom_id`.
 * @throws BatchFileError for a file that is empty or larger than its limits, and for lines that are no requests
 */
export async function checkFile(
  content: AsyncIterable<Uint8Array>,
  endpoint: BatchEndpoint,
  { maxLines, maxLineBytes }: BatchFileLimits,
): Promise<CheckedFile> {
  const problems: BatchProblem[] = [];
  const refuse = (code: string, message: string, line: number | null = null): never => {
    throw new BatchFileError([...problems, { code, message, param: null, line }]);
  };
  const seen = new Set<string>();
  const duplicates = new Set<number>();
  let total = 0;
  try {
    for await (const line of splitLines(content, maxLineBytes)) {
      if (isBlank(line)) continue;
      if (++total > maxLines) refuse('too_many_lines', `The file has more than ${maxLines} requests.`, line.number);
      const request = readRequestLine(line, endpoint);
      if ('code' in request) problems.push(request);
      else if (seen.size === seen.add(digest(request.customId)).size) duplicates.add(line.number);
      if (problems.length === MAX_PROBLEMS) break;
    }
  } catch (error) {
    if (!(error instanceof LineTooLongError)) throw error;
    refuse('line_too_long', `Line ${error.line}: this line has more than ${maxLineBytes} bytes.`, error.line);
  }
  if (problems.length > 0) throw new BatchFileError(problems);
  if (total === 0) refuse('empty_file', 'The file has no requests.');
  return { total, duplicates };
}

/** Stands for a text in a set: 16 bytes, whatever its length. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('binary').slice(0, 16);
}
