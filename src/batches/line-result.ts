import { createHash, randomUUID } from 'node:crypto';

import type { Usage } from '../completions/answer/schema.js';
import type { Counts, JobResult } from '../jobs/job-results.js';
import type { LineAnswer } from './answer-line.js';
import type { RequestLine } from './request-line.js';

/** Lists of a batch's results: each becomes a file. */
export type ResultList = 'output' | 'error';

/** How an endpoint refuses a request over HTTP. */
export interface LineFailure {
  readonly status: number;
  /** OpenAI's error envelope. */
  readonly body: object;
}

/** Why a request was not sent to its endpoint. */
export interface LineError {
  readonly code: 'duplicate_custom_id' | 'batch_expired';
  readonly message: string;
}

export const DUPLICATE: LineError = {
  code: 'duplicate_custom_id',
  message: `An earlier line of the file has the same 'custom_id'.`,
};

export const EXPIRED: LineError = {
  code: 'batch_expired',
  message: 'This request could not be executed before the completion window expired.',
};

/** Writes results of one batch's requests, as lines of OpenAI's output and error files. */
export class ResultWriter {
  /** @param batch its id */
  constructor(private readonly batch: string) {}

  answered(line: RequestLine, { json, usage }: LineAnswer): JobResult {
    return this.#result(line, 'output', responseJson(200, json), 'null', usageCounts(usage));
  }

  /** The request was refused, or failed. */
  refused(line: RequestLine, { status, body }: LineFailure): JobResult {
    return this.#result(line, 'error', responseJson(status, JSON.stringify(body)), 'null');
  }

  notSent(line: RequestLine, error: LineError): JobResult {
    return this.#result(line, 'error', 'null', JSON.stringify(error));
  }

  #result(
    { line: number, customId }: RequestLine,
    list: ResultList,
    response: string,
    error: string,
    counts: Counts = {},
  ): JobResult {
    const id = createHash('sha256').update(`${this.batch} ${number}`).digest('hex').slice(0, 24);
    const head = `{"id":"batch_req_${id}","custom_id":${JSON.stringify(customId)}`;
    const text = `${head},"response":${response},"error":${error}}`;
    return { number, list, text, counts: { ...counts, [list === 'output' ? 'completed' : 'failed']: 1 } };
  }
}

function responseJson(status: number, body: string): string {
  return `{"status_code":${status},"request_id":"${randomUUID()}","body":${body}}`;
}

function usageCounts(usage: Usage): Counts {
  return {
    input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details.cached_tokens,
    generated: usage.completion_tokens,
  };
}
