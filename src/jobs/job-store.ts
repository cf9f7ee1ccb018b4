import { JobError } from './errors.js';
import type { JobChange, JobEvent, JobRecord, JobRef, JobStatus } from './job.js';
import type { Page, PageOptions } from '../lib/page.js';

/** Events that a job keeps; the oldest go. */
export const MAX_EVENTS = 1000;

/** Finished jobs that a tenant keeps; as new ones come, the oldest go, with their events. */
export const MAX_FINISHED_JOBS = 1000;

/**
 * Place where the jobs of all tenants are kept, of one kind. A job of another tenant is not found. Every method throws `StoreError`. A job
 * that cannot be read as it was written throws `job_damaged`, is in no list, and can be deleted.
 */
export interface JobStore<Job extends JobRecord> {
  /**
   * Adds a job that is queued, and drops the oldest of more than `MAX_FINISHED_JOBS` finished ones.
   * @param maxUnfinished most unfinished jobs of the tenant, this one among them
   * @throws JobError `too_many_jobs`; nothing is stored then
   */
  add(tenant: string, job: Job, maxUnfinished?: number): Promise<void>;
  get(tenant: string, id: string): Promise<Job | undefined>;
  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<Job>>;
  /**
   * Changes a job whose status is one of `from`, in one step: of two that end a job, one wins.
   * Returns the job after the change, or undefined when there is none of that status.
   */
  change(tenant: string, id: string, from: readonly JobStatus[], change: JobChange<Job>): Promise<Job | undefined>;
  /** Deletes a job and its events, whatever its status. False when there was none. */
  delete(tenant: string, id: string): Promise<boolean>;
  /** Adds an event to a job that is there; does nothing for another. */
  addEvent(tenant: string, id: string, event: JobEvent): Promise<void>;
  /** Newest first; empty for a job that is not there. */
  events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>>;
  /** Unfinished jobs of a base model, of all tenants, oldest first: those that a queue must not have lost. */
  unfinished(fingerprint: string): Promise<readonly JobRef[]>;
}

/** The error of `JobStore.add` for a tenant that has `unfinished` jobs already. */
export function tooManyJobs(unfinished: number, most: number): JobError {
  return new JobError('too_many_jobs', `${unfinished} jobs are queued or running; at most ${most} may be`);
}
