import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiFailure, messageOf } from '../api/errors.js';

/** Something that the server works on, until it is over. */
export interface FollowedKind<T> {
  /** Looks at it. @param known what the look before found */
  readonly look: (id: string, known: T | undefined) => Promise<T>;
  readonly statusOf: (known: T) => string;
  readonly isOver: (known: T) => boolean;
}

/** What is known of it. */
export interface Followed<T> {
  readonly known: T | undefined;
  /** Why the last look at it failed. It is looked at again, unless the server has refused. */
  readonly problem: string | undefined;
}

/** From one look to the next. */
const LOOK_EVERY_MS = 1000;

/** Follows something until it is over. @param changed called when its status is another than before */
export function useFollowed<T>(id: string, kind: FollowedKind<T>, changed: () => Promise<void>): Followed<T> {
  const [state, setState] = useState<Followed<T>>({ known: undefined, problem: undefined });
  const notify = useRef(changed);
  notify.current = changed;
  useEffect(() => {
    let isOpen = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let known: T | undefined;
    const look = async (): Promise<void> => {
      let problem: string | undefined;
      let isRefused = false;
      try {
        const next = await kind.look(id, known);
        if (known !== undefined && kind.statusOf(known) !== kind.statusOf(next)) void notify.current();
        known = next;
      } catch (error) {
        problem = messageOf(error);
        isRefused = error instanceof ApiFailure && error.status < 500 && error.status !== 429;
      }
      if (!isOpen) return;
      setState({ known, problem });
      if (!isRefused && !(known !== undefined && kind.isOver(known)))
        timer = setTimeout(() => void look(), LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOpen = false;
      clearTimeout(timer);
    };
  }, [id, kind]);
  return state;
}
