import type { ComponentChildren, VNode } from 'preact';
import { useState } from 'preact/hooks';

import { messageOf } from '../api/errors.js';
import { Dialog } from './dialog.js';
import { Notice } from './notice.js';

interface ConfirmProps {
  readonly title: string;
  /** What the button says, such as "Delete". */
  readonly action: string;
  /** Does it; the dialog shows why it fails. */
  readonly act: () => Promise<unknown>;
  readonly close: () => void;
  readonly children: ComponentChildren;
}

/** Asks before something is done that cannot be undone. */
export function Confirm({ title, action, act, close, children }: ConfirmProps): VNode {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const go = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
      close();
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <p>{children}</p>
      {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
      <div class="actions">
        <button type="button" class="danger" disabled={busy} onClick={() => void go()}>
          {action}
        </button>
        <button type="button" onClick={close}>
          Keep
        </button>
      </div>
    </Dialog>
  );
}
