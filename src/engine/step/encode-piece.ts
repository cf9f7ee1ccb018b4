import type { ScheduledPiece } from '../policy/schedule.js';
import type { SourceEncoder } from '../runner.js';
import type { Sequence } from '../sequence.js';

/** Computes the next piece of a sequence's source. */
export async function encodePiece(
  { sequence, maxTokens }: ScheduledPiece<Sequence>,
  sources: SourceEncoder | undefined,
): Promise<void> {
  const { sourceSlot, request } = sequence;
  const { source, prefix } = request;
  if (!sources || !source || sourceSlot === undefined)
    throw new Error('a source without a slot, or without an encoder');
  await sequence.encode(maxTokens ?? sources.maxTokens, () => sources.begin(sourceSlot, source, prefix?.kv));
}
