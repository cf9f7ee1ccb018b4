import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { createKey, listKeys, revokeKey } from '../api/admin.js';
import { messageOf } from '../api/errors.js';
import type { IssuedKey, Key } from '../api/types.js';
import { Confirm } from '../ui/confirm.js';
import { CopyButton } from '../ui/copy-button.js';
import { Dialog } from '../ui/dialog.js';
import { Field } from '../ui/field.js';
import { formatTime } from '../ui/format.js';
import { Notice } from '../ui/notice.js';
import { useLoaded } from '../ui/use-loaded.js';

interface KeysProps {
  readonly tenant: string;
  readonly changed: () => Promise<void>;
}

/** A tenant's keys: list, create, revoke. */
export function Keys({ tenant, changed }: KeysProps): VNode {
  const { value: keys, problem: loadProblem, reload } = useLoaded(() => listKeys(tenant), tenant);
  const [label, setLabel] = useState('');
  const [issued, setIssued] = useState<IssuedKey>();
  const [revoking, setRevoking] = useState<Key>();
  const [problem, setProblem] = useState<string>();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(undefined);
    try {
      setIssued(await createKey(tenant, label));
      setLabel('');
      await Promise.all([reload(), changed()]);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <section aria-labelledby="keys-title">
      <h3 id="keys-title">Keys</h3>
      {loadProblem !== undefined && <Notice kind="problem">{loadProblem}</Notice>}
      {keys?.length === 0 && <p class="quiet">There are none.</p>}
      {keys && keys.length > 0 && <KeyTable keys={keys} revoke={setRevoking} />}
      <form class="inline-form" onSubmit={(event) => void submit(event)}>
        <Field label="Label of a new key" hint="So that you know it again." problem={problem}>
          {(id, describedBy) => (
            <input
              id={id}
              aria-describedby={describedBy}
              value={label}
              onInput={({ currentTarget }) => setLabel(currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit">Create key</button>
      </form>
      {issued && (
        <Dialog title="The new key" close={() => setIssued(undefined)}>
          <p>Copy it now: it is shown here once, and nobody can show it again.</p>
          <pre class="code" tabIndex={0} aria-label="The new key">
            {issued.key}
          </pre>
          <CopyButton text={issued.key} label="Copy key" />
        </Dialog>
      )}
      {revoking && (
        <Confirm
          title="Revoke this key?"
          action="Revoke"
          close={() => setRevoking(undefined)}
          act={async () => {
            await revokeKey(revoking.id);
            await reload();
          }}
        >
          {nameOf(revoking)} is refused everywhere within half a second. Requests that are running finish.
        </Confirm>
      )}
    </section>
  );
}

function KeyTable({ keys, revoke }: { keys: readonly Key[]; revoke: (key: Key) => void }): VNode {
  return (
    <div class="table-frame">
      <table class="table">
        <caption class="visually-hidden">Keys</caption>
        <thead>
          <tr>
            <th scope="col">Label</th>
            <th scope="col">Ends in</th>
            <th scope="col">Created</th>
            <th scope="col">
              <span class="visually-hidden">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <td>{key.label ?? <span class="quiet">none</span>}</td>
              <td>
                <code>{key.last4 ?? ''}</code>
              </td>
              <td>{key.created === null ? 'in the settings' : formatTime(key.created)}</td>
              <td>
                {!key.static && (
                  <button
                    type="button"
                    class="plain link"
                    aria-label={`Revoke ${nameOf(key)}`}
                    onClick={() => revoke(key)}
                  >
                    Revoke
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function nameOf({ label, last4 }: Key): string {
  return label === null ? `the key that ends in ${last4 ?? '…'}` : `“${label}”`;
}
