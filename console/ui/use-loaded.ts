import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { messageOf } from '../api/errors.js';

/** What a page shows of something that it asks the server for. */
export interface Loaded<T> {
  /** The last answer; undefined before the first. */
  readonly value: T | undefined;
  /** Why the last request failed, in words; undefined where it has not. */
  readonly problem: string | undefined;
  /** Asks again. What is shown stays until the answer is there. */
  readonly reload: () => Promise<void>;
}

/** Asks the server when the component appears and whenever `key` changes. An answer that comes after a later request is dropped. */
export function useLoaded<T>(load: () => Promise<T>, key: unknown): Loaded<T> {
  const [state, setState] = useState<{ value?: T; problem?: string }>({});
  const latest = useRef(0);
  const current = useRef(load);
  current.current = load;
  const reload = useCallback(async () => {
    const turn = ++latest.current;
    try {
      const value = await current.current();
      if (turn === latest.current) setState({ value });
    } catch (error) {
      if (turn === latest.current)
        setState(({ value }) => ({ ...(value !== undefined && { value }), problem: messageOf(error) }));
    }
  }, []);
  useEffect(() => {
    void reload();
    return () => void latest.current++;
  }, [reload, key]);
  return { value: state.value, problem: state.problem, reload };
}
