import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { keys } from './keys.js';
import { signIn } from './session.js';

interface SignInProps {
  /** Why the last key does not do. */
  readonly reason?: string | undefined;
  /** Whether the page needs the operator's key. */
  readonly asOperator?: boolean;
  /** Whether the key in use is the operator's, where a tenant's is needed. */
  readonly isOperator?: boolean;
}

/** Asks for a key. */
export function SignIn({ reason, asOperator = false, isOperator = false }: SignInProps): VNode {
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    await signIn(key.trim(), asOperator);
    setBusy(false);
    const { operator } = keys.get();
    if (asOperator && operator === undefined) setProblem('The server does not accept this as the operator’s key.');
    else setProblem(isOperator ? 'The server does not accept this key.' : undefined);
  };
  const title = asOperator ? 'The operator’s key' : isOperator ? 'A tenant’s key' : 'A key, please';
  return (
    <section class="sign-in">
      <h1>{title}</h1>
      <p class="quiet">
        {asOperator
          ? 'This page is the operator’s. The key is that of PREAMBLE_ADMIN_KEY; a server that is started without it has no such page.'
          : isOperator
            ? 'The operator’s key opens no tenant’s pages. Make a key for a tenant on the page Tenants.'
            : 'This server serves only those who have a key. Your operator makes one for you.'}{' '}
        It stays in this tab until you close it, and goes to this server alone.
      </p>
      {(problem ?? reason) !== undefined && <Notice kind="problem">{problem ?? reason}</Notice>}
      <form onSubmit={(event) => void submit(event)}>
        <Field label="Key">
          {(id) => (
            <input
              id={id}
              type="password"
              autocomplete="off"
              spellcheck={false}
              required
              value={key}
              onInput={({ currentTarget }) => setKey(currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit" class="primary" disabled={busy || key.trim() === ''}>
          Use this key
        </button>
      </form>
    </section>
  );
}
