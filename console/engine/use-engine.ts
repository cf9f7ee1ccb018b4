import { useEffect, useState } from 'preact/hooks';

import { followEngine } from '../api/engine.js';
import { ApiFailure } from '../api/errors.js';
import type { EngineState } from '../api/types.js';
import { type Point, remember } from './history.js';

/** What is known of the engine. */
export interface EngineView {
  /** The newest event; undefined before the first. */
  readonly state: EngineState | undefined;
  readonly history: readonly Point[];
  /** `lost`: it is asked for again and again. */
  readonly link: 'opening' | 'live' | 'lost';
  /** Why the server does not tell; it is not asked again. */
  readonly refusal: ApiFailure | undefined;
}

/** From a lost connection to the next attempt. */
const AGAIN_MS = 2000;
/** Events come once a second: a connection without one for so long is dead. */
const DEAD_MS = 15_000;

/** Follows the engine while the page can be seen. */
export function useEngine(): EngineView {
  const [view, setView] = useState<EngineView>({ state: undefined, history: [], link: 'opening', refusal: undefined });
  useEffect(() => {
    const left = new AbortController();
    const isOpen = (): boolean => !left.signal.aborted;
    let connection = new AbortController();
    const hide = (): void => {
      if (document.hidden) connection.abort();
    };
    const follow = async (): Promise<void> => {
      while (isOpen()) {
        connection = new AbortController();
        try {
          await listen(connection, (state) => setView((before) => take(before, state)));
        } catch (error) {
          if (isRefusal(error)) {
            setView((before) => ({ ...before, refusal: error }));
            return;
          }
        }
        if (!isOpen()) return;
        if (!document.hidden) setView((before) => ({ ...before, link: 'lost' }));
        await (document.hidden ? untilSeen() : new Promise((resolve) => setTimeout(resolve, AGAIN_MS)));
      }
    };
    document.addEventListener('visibilitychange', hide);
    void follow();
    return () => {
      left.abort();
      document.removeEventListener('visibilitychange', hide);
      connection.abort();
    };
  }, []);
  return view;
}

function take({ history }: EngineView, state: EngineState): EngineView {
  return { state, history: remember(history, state), link: 'live', refusal: undefined };
}

/** Reads events until the connection ends; one that is dead is ended. */
async function listen(connection: AbortController, show: (state: EngineState) => void): Promise<void> {
  let timer = setTimeout(() => connection.abort(), DEAD_MS);
  try {
    for await (const state of followEngine(connection.signal)) {
      clearTimeout(timer);
      timer = setTimeout(() => connection.abort(), DEAD_MS);
      show(state);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Whether asking again is of no use. A server that has too many who follow it may have room later. */
function isRefusal(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && error.status < 500 && error.status !== 429;
}

function untilSeen(): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    look();
  });
}
