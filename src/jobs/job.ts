import { randomBytes } from 'node:crypto';

/** Names of one kind of jobs. Jobs of several kinds stand side by side in the same stores. */
export interface JobKind {
  /** Hash tag of the kind's keys in Redis, `preamble:1:{SLOT}`. */
  readonly slot: string;
  /** Folder of the kind's records in a store's directory. */
  readonly folder: string;
  /** Beginning of a job's id, before its 24 hex digits. */
  readonly idPrefix: string;
  readonly eventPrefix: string;
  /** Name for people: `There is no NOUN ftjob-...`. */
  readonly noun: string;
  /** Name of a job's id in requests. */
  readonly param: string;
  /** Predicate for a job that is `finishing`: `The job ...`. */
  readonly finishing: string;
}

/**
 * `finishing`: the work is done, and its results are being stored. The worker that takes a job checks it, so no job is ever
 * `validating_files`.
 */
export type JobStatus = 'queued' | 'running' | 'finishing' | 'succeeded' | 'failed' | 'cancelled';

/** Statuses that a job can be cancelled in. From `finishing` on its results may be in use. */
export const CANCELLABLE: readonly JobStatus[] = ['queued', 'running'];

/** Statuses of a job that a worker has. */
export const TAKEN: readonly JobStatus[] = ['running', 'finishing'];

/** Statuses that a job can still leave. */
export const UNFINISHED: readonly JobStatus[] = ['queued', ...TAKEN];

/** Reason that a job failed, for its owner. */
export interface JobProblem {
  readonly code: string;
  readonly message: string;
  /** The field of the request that is at fault. */
  readonly param: string | null;
}

/** The part of a job that is the same for every kind. Times are Unix milliseconds. */
export interface JobRecord {
  readonly id: string;
  /** Fingerprint of the base model: only its workers take the job. */
  readonly fingerprint: string;
  readonly created: number;
  readonly status: JobStatus;
  readonly finished: number | null;
  /** Time at which the job will probably end; null while that is unknown, and once it has ended. */
  readonly estimatedFinish: number | null;
  readonly error: JobProblem | null;
}

/** The part of a job that can change. */
export type JobChange<Job extends JobRecord> = Partial<Omit<Job, 'id' | 'fingerprint' | 'created'>>;

/** Something that happened to a job. */
export interface JobEvent {
  readonly id: string;
  /** Unix milliseconds. */
  readonly created: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  /** Numbers of `metrics`, such as step, losses and rate. */
  readonly data: Readonly<Record<string, number>> | null;
}

/** Id and tenant of a job: all that a queue carries. */
export interface JobRef {
  readonly tenant: string;
  readonly id: string;
}

/** Tells a job that is queued or taken from one that has ended. */
export function isUnfinished({ status }: JobRecord): boolean {
  return UNFINISHED.includes(status);
}

export function newJobId({ idPrefix }: JobKind): string {
  return `${idPrefix}${randomBytes(12).toString('hex')}`;
}

/** @param now Unix milliseconds */
export function newEvent(
  { eventPrefix }: JobKind,
  now: number,
  event: Pick<JobEvent, 'message'> & Partial<JobEvent>,
): JobEvent {
  return {
    id: `${eventPrefix}-${randomBytes(12).toString('hex')}`,
    created: now,
    level: 'info',
    type: 'message',
    data: null,
    ...event,
  };
}
