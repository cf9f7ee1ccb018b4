import type { EngineStats } from './observer.js';
import type { ModelRunner } from './runner.js';
import type { Sequence } from './sequence.js';
import { sourceLength } from './source-length.js';

/** Load of the engine: what its sequences make of it. */
export function statsOf(
  waiting: readonly Sequence[],
  held: readonly Sequence[],
  runner: Pick<ModelRunner, 'slots' | 'contextLength' | 'sources'>,
): Omit<EngineStats, 'waitingTokens' | 'promptCacheBytes' | 'draftTableBytes'> {
  const running = held.filter(({ status }) => status === 'running');
  return {
    waiting: waiting.length,
    running: running.length,
    slots: runner.slots,
    kvUsage: kvUsage(running, runner),
    runningPrefixes: prefixesOf(running),
    waitingPrefixes: prefixesOf(waiting.flatMap(({ sequenceGroup }) => sequenceGroup)),
  };
}

/** A source that several sequences share counts once. */
function kvUsage(
  running: readonly Sequence[],
  { slots, contextLength, sources }: Pick<ModelRunner, 'slots' | 'contextLength' | 'sources'>,
): number {
  const positions = running.reduce((total, { numPositions }) => total + numPositions, 0);
  if (sources === undefined) return positions / (slots * contextLength);
  const lengths = new Map(
    running.map(({ sourceSlot, request: { source = [], prefix } }) => {
      return [sourceSlot, sourceLength(source, prefix?.kv, sources)] as const;
    }),
  );
  const sourcePositions = [...lengths.values()].reduce((total, length) => total + length, 0);
  return (positions + sourcePositions) / (slots * (contextLength + sources.maxTokens));
}

function prefixesOf(sequences: readonly Sequence[]): string[] {
  return [...new Set(sequences.flatMap(({ request }) => request.prefix?.ids ?? []))];
}
