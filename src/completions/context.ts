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
}

/** The context of one request. */
export function requestContext(gone: AbortSignal, trace?: CompletionTrace): RequestContext {
  let last = Promise.resolve();
  const yieldTurn = (): Promise<void> => (last = last.then(() => setImmediate(undefined, { signal: gone })));
  return { gone, trace, yield: yieldTurn };
}
