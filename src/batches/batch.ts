import type { Counts } from '../jobs/job-results.js';
import type { JobKind, JobRecord } from '../jobs/job.js';

/** Batches, in OpenAI's words. */
export const BATCHES: JobKind = {
  slot: 'batches',
  folder: 'batches',
  idPrefix: 'batch_',
  eventPrefix: 'batchevent',
  noun: 'batch',
  param: 'batch_id',
  finishing: 'is done, and its files are being stored',
};

/** Routes that the requests of a batch can be for; all of one batch are for the same. */
export const BATCH_ENDPOINTS = ['/v1/completions', '/v1/chat/completions'] as const;
export type BatchEndpoint = (typeof BATCH_ENDPOINTS)[number];

/** How long a batch may take, in milliseconds: OpenAI's `24h`. */
export const COMPLETION_WINDOW_MS = 24 * 3600 * 1000;

/** A batch as it was asked for; this part never changes. */
export interface BatchRequest {
  readonly endpoint: BatchEndpoint;
  /** Id of a file of purpose `batch`. */
  readonly inputFile: string;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Something wrong with a file, for which none of its requests is done. */
export interface BatchProblem {
  readonly code: string;
  readonly message: string;
  /** The field at fault. */
  readonly param: string | null;
  /** From 1; null for a fault of the whole file. */
  readonly line: number | null;
}

/** Why no more of a batch's requests are done: all are done, its time is over, or its owner has cancelled it. */
export type BatchOutcome = 'completed' | 'expired' | 'cancelled';

/** A batch of a tenant. Times are Unix milliseconds; null until they come. */
export interface Batch extends BatchRequest, JobRecord {
  readonly expires: number;
  /** When its file was found to be one of requests. */
  readonly inProgress: number | null;
  /** When its owner asked to cancel it. */
  readonly cancelling: number | null;
  /** When no more requests were done. */
  readonly finalizing: number | null;
  /** Null while requests are done. */
  readonly outcome: BatchOutcome | null;
  /** Requests in the file; 0 until they are counted. */
  readonly total: number;
  /** Sums over the requests that have an answer or an error, as they were last written down. */
  readonly counts: Counts;
  /** What is wrong with a file that is not one of requests. */
  readonly problems: readonly BatchProblem[];
  /** Id of the file of answers; null where there are none. */
  readonly outputFile: string | null;
  /** Id of the file of errors. */
  readonly errorFile: string | null;
}
