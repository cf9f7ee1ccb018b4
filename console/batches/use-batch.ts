import { useEffect, useRef, useState } from 'preact/hooks';

import { retrieveBatch } from '../api/batches.js';
import { ApiFailure, messageOf } from '../api/errors.js';
import type { Batch } from '../api/types.js';

/** What is known of a batch. */
interface BatchState {
  readonly batch: Batch | undefined;
  /** Why the last look at it failed. It is looked at again, unless the server has refused. */
  readonly problem: string | undefined;
}

/** From one look at a batch to the next. */
const LOOK_EVERY_MS = 1000;
const ENDS: readonly Batch['status'][] = ['failed', 'completed', 'expired', 'cancelled'];

/** Whether a batch has come to its end, whichever it is. */
export function hasEnded({ status }: Batch): boolean {
  return ENDS.includes(status);
}

/** Follows a batch until it has ended. @param changed called when its status is another than before */
export function useBatch(id: string, changed: () => Promise<void>): BatchState {
  const [state, setState] = useState<BatchState>({ batch: undefined, problem: undefined });
  const notify = useRef(changed);
  notify.current = changed;
  useEffect(() => {
    let isOpen = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let known: Batch | undefined;
    const look = async (): Promise<void> => {
      let problem: string | undefined;
      let isRefused = false;
      try {
        const batch = await retrieveBatch(id);
        if (known !== undefined && known.status !== batch.status) void notify.current();
        known = batch;
      } catch (error) {
        problem = messageOf(error);
        isRefused = error instanceof ApiFailure && error.status < 500;
      }
      if (!isOpen) return;
      setState({ batch: known, problem });
      if (!isRefused && !(known && hasEnded(known))) timer = setTimeout(() => void look(), LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOpen = false;
      clearTimeout(timer);
    };
  }, [id]);
  return state;
}
