import { randomBytes } from 'node:crypto';

import type { JobSettings } from './settings.js';

/**
 * OpenAI's, and `finishing`: trained, and its prefix is being stored. A job is checked, file and all, by the worker that takes it, so none
 * is ever `validating_files`.
 */
export type JobStatus = 'queued' | 'running' | 'finishing' | 'succeeded' | 'failed' | 'cancelled';

/** Statuses that a job can be cancelled in. From `finishing` on its prefix may be in use. */
export const CANCELLABLE: readonly JobStatus[] = ['queued', 'running'];

/** Statuses of a job that a worker has. */
export const TAKEN: readonly JobStatus[] = ['running', 'finishing'];

/** Statuses that a job can still leave. */
export const UNFINISHED: readonly JobStatus[] = ['queued', ...TAKEN];

/** Why a job failed, for its owner. */
export interface JobError {
  readonly code: string;
  readonly message: string;
  /** The field of the request that is at fault. */
  readonly param: string | null;
}

/** A job as it was asked for; this part never changes. */
export interface JobRequest {
  /** The base model's id, or the caller's prefix to go on from, `NAME@VERSION`. */
  readonly model: string;
  readonly trainingFile: string;
  readonly validationFile: string | null;
  readonly suffix: string | null;
  /** Of the prefix that is trained. */
  readonly name: string;
  readonly settings: JobSettings;
  /** What the learning rate was multiplied with, for the answer. */
  readonly learningRateMultiplier: number;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** A job of a tenant. Times are Unix milliseconds. */
export interface FineTuningJob extends JobRequest {
  /** `ftjob-` and 24 hex digits. */
  readonly id: string;
  /** Of the base model: only its workers take the job. */
  readonly fingerprint: string;
  readonly created: number;
  readonly status: JobStatus;
  readonly finished: number | null;
  readonly estimatedFinish: number | null;
  /** `NAME@VERSION`, once it is there. */
  readonly fineTunedModel: string | null;
  readonly trainedTokens: number | null;
  readonly resultFiles: readonly string[];
  readonly error: JobError | null;
}

/** What may change while a job lives. */
export type JobChange = Partial<
  Pick<
    FineTuningJob,
    'status' | 'finished' | 'estimatedFinish' | 'fineTunedModel' | 'trainedTokens' | 'resultFiles' | 'error'
  >
>;

/** Something that happened to a job. */
export interface JobEvent {
  /** `ftevent-` and 24 hex digits. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly created: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  /** Of `metrics`: step, losses, rate. */
  readonly data: Readonly<Record<string, number>> | null;
}

/** Which job of whom: all that a queue carries. */
export interface JobRef {
  readonly tenant: string;
  readonly id: string;
}

/** Whether it is queued, or a worker has it. */
export function isUnfinished({ status }: FineTuningJob): boolean {
  return UNFINISHED.includes(status);
}

export function newJobId(): string {
  return `ftjob-${randomBytes(12).toString('hex')}`;
}

/** @param now Unix milliseconds */
export function newEvent(now: number, event: Pick<JobEvent, 'message'> & Partial<JobEvent>): JobEvent {
  return {
    id: `ftevent-${randomBytes(12).toString('hex')}`,
    created: now,
    level: 'info',
    type: 'message',
    data: null,
    ...event,
  };
}
