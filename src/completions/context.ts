import { setImmediate } from 'node:timers/promises';

import type { SequenceObserver } from '../engine/observer.js';
import type { Priority } from '../engine/priority.js';
import type { LoadedPrefix } from '../prefix/library.js';
import { TurnBudget } from './turn-budget.js';

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
  /** Class of work of its sequences; `interactive` unless given. */
  readonly priority?: Priority | undefined;
  /**
   * Lets others be served before the next piece of work: settles in a turn of the event loop that no other call has.
   * Rejects with the signal's AbortError.
   */
  readonly yield: () => Promise<void>;
  /**
   * Settles when so many more pieces of answers, or messages of a prompt, may be written: at once, or in a later turn where all requests
   * would write too many in this one.
   */
  readonly mayWrite: (pieces: number) => Promise<void>;
}

/** Pieces of answers, each a token or a log-probability, that all requests together write in a turn: a few milliseconds. */
export const PIECES_A_TURN = 2048;
/** Most pieces of what comes in small events, as the tokens of a stream do. They have a budget of their own, to wait for no large answer. */
const SMALL = 64;

/** One event loop, one budget of each kind for the process. */
const budgets = { small: new TurnBudget(PIECES_A_TURN), large: new TurnBudget(PIECES_A_TURN) };

/** The context of one request. Of its large pieces one waits at a time, so requests take turns. */
export function requestContext(gone: AbortSignal, trace?: CompletionTrace, priority?: Priority): RequestContext {
  let lastYield = Promise.resolve();
  let lastLarge = Promise.resolve();
  const takeLarge = async (pieces: number): Promise<void> => {
    gone.throwIfAborted();
    await budgets.large.take(pieces);
  };
  return {
    gone,
    trace,
    priority,
    yield: () => (lastYield = lastYield.then(() => setImmediate(undefined, { signal: gone }))),
    mayWrite: (pieces) =>
      pieces <= SMALL ? budgets.small.take(pieces) : (lastLarge = lastLarge.then(() => takeLarge(pieces))),
  };
}
