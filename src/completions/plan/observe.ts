import type { SequenceObserver } from '../../engine/observer.js';
import type { CompletionTrace } from '../context.js';

/** Observes one sequence of a version that shares its name's requests, by the version's opaque id. */
export type ObserveVersion = (chosenId: string) => SequenceObserver;

/**
 * Who is told of each sequence of a completion: its trace, and the counters of its versions; undefined: nobody.
 * @param chosenIds of versions that share a name with others
 */
export function sequenceObserver(
  trace: CompletionTrace | undefined,
  observeVersion: ObserveVersion | undefined,
  chosenIds: readonly string[] = [],
): (() => SequenceObserver) | undefined {
  if (chosenIds.length === 0 || observeVersion === undefined) return trace && (() => trace.sequence());
  return () => together([...(trace ? [trace.sequence()] : []), ...chosenIds.map(observeVersion)]);
}

function together(observers: readonly SequenceObserver[]): SequenceObserver {
  return {
    admitted: (reusedTokens) => observers.forEach((each) => each.admitted(reusedTokens)),
    firstToken: (rows) => observers.forEach((each) => each.firstToken(rows)),
    ended: (end) => observers.forEach((each) => each.ended(end)),
  };
}
