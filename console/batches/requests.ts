import type { NewBatch } from '../api/types.js';

/** What was read of a file of requests. */
export interface Requests {
  /** Lines that are not empty. */
  readonly count: number;
  /** The `url` of the first line; undefined where it is none that a batch can have. */
  readonly endpoint: NewBatch['endpoint'] | undefined;
  /** What is wrong with the first line, in words. */
  readonly problem: string | undefined;
  /** The first lines. */
  readonly first: readonly string[];
}

const ENDPOINTS: readonly NewBatch['endpoint'][] = ['/v1/completions', '/v1/chat/completions'];
const SHOWN = 3;

/** Reads a file of requests so far as to tell early what is wrong; the server checks every line. */
export function readRequests(text: string): Requests {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const url = urlOf(lines[0] ?? '');
  const endpoint = ENDPOINTS.find((one) => one === url);
  const problem =
    url === undefined
      ? 'The first line is no request: it is to be a JSON object with "custom_id", "method", "url" and "body".'
      : endpoint === undefined
        ? `The first line’s "url" is none of ${ENDPOINTS.join(', ')}.`
        : undefined;
  return { count: lines.length, endpoint, problem, first: lines.slice(0, SHOWN) };
}

function urlOf(line: string): string | undefined {
  try {
    const { url } = JSON.parse(line) as { url?: unknown };
    return typeof url === 'string' ? url : undefined;
  } catch {
    return undefined;
  }
}
