import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiFailure, messageOf } from '../api/errors.js';
import { eventsSince, readFileText, retrieveJob } from '../api/training.js';
import type { Job, JobEventObject } from '../api/types.js';
import { type Curve, curveOfEvents, curveOfFile } from './curve.js';

/** What is known of a job. */
interface JobState {
  readonly job: Job | undefined;
  /** Newest first. */
  readonly events: readonly JobEventObject[];
  readonly curve: Curve;
  /** Why the last look at it failed. It is looked at again, unless the server has refused. */
  readonly problem: string | undefined;
}

/** From one look at a job to the next. */
const LOOK_EVERY_MS = 1000;
const NOTHING: JobState = {
  job: undefined,
  events: [],
  curve: { training: [], validation: [], steps: undefined },
  problem: undefined,
};

/** Follows a job until it is over. @param changed called when its status is another than before */
export function useJob(id: string, changed: () => Promise<void>): JobState {
  const [state, setState] = useState(NOTHING);
  const notify = useRef(changed);
  notify.current = changed;
  useEffect(() => {
    let isOpen = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = NOTHING;
    let isRefused = false;
    const look = async (): Promise<void> => {
      try {
        const next = await lookAt(id, current);
        if (current.job && next.job?.status !== current.job.status) void notify.current();
        current = next;
      } catch (error) {
        current = { ...current, problem: messageOf(error) };
        isRefused = error instanceof ApiFailure && error.status < 500 && error.status !== 429;
      }
      if (!isOpen) return;
      setState(current);
      const isOver = isRefused || (current.job?.finished_at ?? null) !== null;
      if (!isOver) timer = setTimeout(() => void look(), LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOpen = false;
      clearTimeout(timer);
    };
  }, [id]);
  return state;
}

async function lookAt(id: string, before: JobState): Promise<JobState> {
  const job = await retrieveJob(id);
  const events = [...(await eventsSince(id, before.events[0]?.id)), ...before.events];
  const [result] = job.result_files;
  // Events tell of some steps only; the file has all of them.
  const text = result === undefined ? undefined : await readIfKept(result);
  const curve = text === undefined ? curveOfEvents(events) : curveOfFile(text);
  return { job, events, curve, problem: undefined };
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
