import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { setTenant } from '../api/admin.js';
import { ApiFailure, messageOf } from '../api/errors.js';
import type { Tenant, TenantChanges } from '../api/types.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';

interface LimitsProps {
  readonly tenant: Tenant;
  readonly changed: () => Promise<void>;
}

type LimitField = keyof TenantChanges;

/** The limits with what each means. */
const LIMITS: readonly { readonly field: LimitField; readonly label: string; readonly hint: string }[] = [
  { field: 'weight', label: 'Weight', hint: 'Part of the machine beside other tenants, while several have work.' },
  { field: 'requests_per_minute', label: 'Requests a minute', hint: '0 lets nothing pass.' },
  { field: 'tokens_per_minute', label: 'Tokens a minute', hint: 'Of prompts and answers.' },
  { field: 'max_prefixes', label: 'Prefixes', hint: 'That it may keep.' },
  { field: 'max_prefix_bytes', label: 'Bytes of prefixes', hint: 'Of all versions together.' },
  { field: 'queue_share', label: 'Share of the queue', hint: 'Above 0, at most 1.' },
];

/** Shows a tenant's limits, and changes those that were edited. */
export function Limits({ tenant, changed }: LimitsProps): VNode {
  const [edits, setEdits] = useState<Partial<Record<LimitField, string>>>({});
  const [problem, setProblem] = useState<{ field: string; message: string }>();
  const [saved, setSaved] = useState(false);
  const edit = (field: LimitField, text: string): void => {
    setSaved(false);
    setEdits((before) => ({ ...before, [field]: text }));
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(undefined);
    try {
      await setTenant(tenant.tenant, toChanges(edits));
      setEdits({});
      setSaved(true);
      await changed();
    } catch (error) {
      setProblem({ field: error instanceof ApiFailure ? (error.param ?? '') : '', message: messageOf(error) });
    }
  };
  const isElsewhere = problem && !LIMITS.some(({ field }) => field === problem.field);
  return (
    <form noValidate onSubmit={(event) => void submit(event)}>
      <h3>Limits</h3>
      <p class="hint">An empty field is no limit; “default” goes back to the server’s own.</p>
      <div class="parameter-grid">
        {LIMITS.map(({ field, label, hint }) => (
          <Field
            key={field}
            label={label}
            hint={tenant.inherited.includes(field) ? `${hint} The server’s default.` : hint}
            problem={problem?.field === field ? problem.message : undefined}
          >
            {(id, describedBy) => (
              <input
                id={id}
                inputMode="decimal"
                aria-describedby={describedBy}
                placeholder={field === 'weight' ? '' : 'no limit'}
                value={edits[field] ?? tenant[field] ?? ''}
                onInput={({ currentTarget }) => edit(field, currentTarget.value)}
              />
            )}
          </Field>
        ))}
      </div>
      {isElsewhere && <Notice kind="problem">{problem.message}</Notice>}
      {saved && <Notice kind="good">Saved. It is in force everywhere within half a second.</Notice>}
      <button type="submit" disabled={Object.keys(edits).length === 0}>
        Save limits
      </button>
    </form>
  );
}

/** What was edited, as the API takes it. What is no number is sent as it is, for the server to refuse in its words. */
function toChanges(edits: Partial<Record<LimitField, string>>): TenantChanges {
  const entries = Object.entries(edits).map(([field, text]) => {
    const trimmed = text.trim();
    if (trimmed === '') return [field, null];
    return [field, Number.isNaN(Number(trimmed)) ? trimmed : Number(trimmed)];
  });
  return Object.fromEntries(entries) as TenantChanges;
}
