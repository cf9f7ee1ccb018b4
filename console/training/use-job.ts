import { ApiFailure } from '../api/errors.js';
import { eventsSince, readFileText, retrieveJob } from '../api/training.js';
import type { Job, JobEventObject } from '../api/types.js';
import { type Followed, type FollowedKind, useFollowed } from '../ui/use-followed.js';
import { type Curve, curveOfEvents, curveOfFile } from './curve.js';

/** A job, with what was told and measured of it. */
interface FollowedJob {
  readonly job: Job;
  /** Newest first. */
  readonly events: readonly JobEventObject[];
  readonly curve: Curve;
}

const JOB: FollowedKind<FollowedJob> = {
  look: lookAt,
  statusOf: ({ job }) => job.status,
  isOver: ({ job }) => job.finished_at !== null,
};

/** Follows a job until it is over. @param changed called when its status is another than before */
export function useJob(id: string, changed: () => Promise<void>): Followed<FollowedJob> {
  return useFollowed(id, JOB, changed);
}

async function lookAt(id: string, before: FollowedJob | undefined): Promise<FollowedJob> {
  const job = await retrieveJob(id);
  const known = before?.events ?? [];
  const events = [...(await eventsSince(id, known[0]?.id)), ...known];
  const [result] = job.result_files;
  // Events tell of some steps only; the file has all of them.
  const text = result === undefined ? undefined : await readIfKept(result);
  const curve = text === undefined ? curveOfEvents(events) : curveOfFile(text);
  return { job, events, curve };
}

/** The text of a file; undefined where somebody has deleted it. */
async function readIfKept(id: string): Promise<string | undefined> {
  try {
    return await readFileText(id);
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return undefined;
    throw error;
  }
}
