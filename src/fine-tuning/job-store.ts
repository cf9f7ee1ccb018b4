import { FineTuningError } from './errors.js';
import type { FineTuningJob, JobChange, JobEvent, JobRef, JobStatus } from './job.js';
import type { Page, PageOptions } from '../lib/page.js';

/** Events that a job keeps; the oldest go. */
export const MAX_EVENTS = 1000;

/** Finished jobs that a tenant keeps; as new ones come, the oldest go, with their events. */
export const MAX_FINISHED_JOBS = 1000;

/** The jobs of all tenants. A job of another tenant is not found. Every method throws `StoreError` where the store cannot do it. */
export interface JobStore {
  /**
   * Adds a job that is queued, and drops the oldest of more than `MAX_FINISHED_JOBS` finished ones.
   * @param maxUnfinished most jobs of the tenant that are queued or running, this one among them
   * @throws FineTuningError `too_many_jobs`; nothing is stored then
   */
  add(tenant: string, job: FineTuningJob, maxUnfinished?: number): Promise<void>;
  get(tenant: string, id: string): Promise<FineTuningJob | undefined>;
  /** Newest first. */
  list(tenant: string, options: PageOptions): Promise<Page<FineTuningJob>>;
  /**
   * Changes a job whose status is one of `from`, in one step: of two that end a job, one wins.
   * Returns the job after the change, or undefined when there is none of that status.
   */
  change(tenant: string, id: string, from: readonly JobStatus[], change: JobChange): Promise<FineTuningJob | undefined>;
  /** Deletes a job and its events, whatever its status. False when there was none. */
  delete(tenant: string, id: string): Promise<boolean>;
  /** Of a job that is there; of another, nothing happens. */
  addEvent(tenant: string, id: string, event: JobEvent): Promise<void>;
  /** Newest first; empty for a job that is not there. */
  events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>>;
  /** Jobs of a base model that are queued or running, of all tenants, oldest first: what a queue must not have lost. */
  unfinished(fingerprint: string): Promise<readonly JobRef[]>;
}

/** What `JobStore.add` throws where `unfinished` jobs are too many for another. */
export function tooManyJobs(unfinished: number, most: number): FineTuningError {
  return new FineTuningError('too_many_jobs', `${unfinished} jobs are queued or running; at most ${most} may be`);
}
