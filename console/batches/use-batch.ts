import { retrieveBatch } from '../api/batches.js';
import type { Batch } from '../api/types.js';
import { type Followed, type FollowedKind, useFollowed } from '../ui/use-followed.js';

const ENDS: readonly Batch['status'][] = ['failed', 'completed', 'expired', 'cancelled'];
const BATCH: FollowedKind<Batch> = { look: retrieveBatch, statusOf: ({ status }) => status, isOver: hasEnded };

/** Whether a batch has come to its end, whichever it is. */
export function hasEnded({ status }: Batch): boolean {
  return ENDS.includes(status);
}

/** Follows a batch until it has ended. @param changed called when its status is another than before */
export function useBatch(id: string, changed: () => Promise<void>): Followed<Batch> {
  return useFollowed(id, BATCH, changed);
}
