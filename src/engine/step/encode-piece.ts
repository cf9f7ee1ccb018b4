import type { ScheduledPiece } from '../policy/schedule.js';
import { sourceKv } from '../../prefix/kv.js';
import type { SourceEncoder } from '../runner.js';
import type { Sequence } from '../sequence.js';

/** Time that pieces take behind a step of rows, over the step's own: rows then wait less than twice as long for their next token. */
const SHARE_OF_STEP = 0.7;

/**
 * Computes the next piece of a sequence's source, and behind rows as many more as are expected to fit into `SHARE_OF_STEP` of their step.
 * @param stepSeconds how long the step of the rows took
 * @param now seconds of a clock that only goes forward
 */
export async function encodePieces(
  { sequence, maxTokens }: ScheduledPiece<Sequence>,
  sources: SourceEncoder | undefined,
  stepSeconds: number,
  now: () => number,
): Promise<void> {
  const { sourceSlot, request } = sequence;
  const { source, prefix } = request;
  if (!sources || !source || sourceSlot === undefined)
    throw new Error('a source without a slot, or without an encoder');
  const begin = now();
  for (let pieces = 1; ; pieces++) {
    await sequence.encode(maxTokens ?? sources.maxTokens, () => {
      return sources.begin(sourceSlot, source, prefix && sourceKv(prefix.kv));
    });
    const seconds = now() - begin;
    const withNext = (seconds * (pieces + 1)) / pieces;
    if (sequence.isSourceEncoded || sequence.status === 'finished' || withNext > SHARE_OF_STEP * stepSeconds) return;
  }
}
