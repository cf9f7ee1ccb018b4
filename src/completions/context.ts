import { setImmediate } from 'node:timers/promises';

import type { SequenceObserver } from '../engine/observer.js';
import type { LoadedPrefix } from '../prefix/library.js';

/** The trace of the request that completions belong to. */
export interface CompletionTrace {
  /** Traces the loading of a prefix, and settles as it does. */
  prefixLoad(loading: Promise<LoadedPrefix>): Promise<LoadedPrefix>;
  /** Traces one sequence, which begins to wait now. */
  sequence(): SequenceObserver;
}

/** The request that one completion, or each of many, belongs to. */
export interface RequestContext {
  /** Aborts when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
  /** Undefined: the request is not traced. */
  readonly trace: CompletionTrace | undefined;
  /**
   * Lets others be served before the next piece of work: settles in a turn of the event loop that no other call has.
   * Rejects with the signal's AbortError.
   */
  readonly yield: () => Promise<void>;
  /** Settles when so many more pieces of answers may be written: at once, or as `yield` does where a turn would have too many. */
  readonly mayWrite: (pieces: number) => Promise<void>;
}

/** Pieces of answers, each a token or a log-probability, that a request may write in one turn: a few milliseconds. */
const PIECES_A_TURN = 4096;

/** The context of one request. */
export function requestContext(gone: AbortSignal, trace?: CompletionTrace): RequestContext {
  let last = Promise.resolve();
  let pieces = 0;
  const yieldTurn = (): Promise<void> => (last = last.then(() => setImmediate(undefined, { signal: gone })));
  const mayWrite = async (more: number): Promise<void> => {
    while (pieces > 0 && pieces + more > PIECES_A_TURN) {
      await yieldTurn();
      pieces = 0;
    }
    pieces += more;
  };
  return { gone, trace, yield: yieldTurn, mayWrite };
}
