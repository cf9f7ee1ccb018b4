import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { listTenants, setTenant } from '../api/admin.js';
import { messageOf } from '../api/errors.js';
import { hrefOf, route } from '../app/route.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { useStore } from '../ui/store.js';
import { useLoaded } from '../ui/use-loaded.js';
import { TenantView } from './tenant.js';

/** The operator's page: tenants with their limits and keys. */
export default function TenantsPage(): VNode {
  const { query } = useStore(route);
  const name = query.get('tenant');
  const { value: tenants, problem, reload } = useLoaded(listTenants, 'tenants');
  const chosen = tenants?.find(({ tenant }) => tenant === name);
  return (
    <div class="page two-panes">
      <section aria-labelledby="tenants-title">
        <h1 id="tenants-title">Tenants</h1>
        {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
        {tenants?.length === 0 && <p class="quiet">There are none yet.</p>}
        <ul class="cards">
          {tenants?.map(({ tenant, weight, requests_per_minute, static: isStatic }) => (
            <li key={tenant}>
              <a
                class="card"
                href={hrefOf('tenants', new URLSearchParams({ tenant }))}
                aria-current={tenant === name ? 'true' : undefined}
              >
                <b>{tenant}</b>
                <span class="quiet">
                  weight {weight} · {requests_per_minute?.toLocaleString() ?? 'any number of'} requests a minute
                  {isStatic && ' · from the settings'}
                </span>
              </a>
            </li>
          ))}
        </ul>
        <NewTenant created={reload} />
      </section>
      <section class={`pane ${chosen ? 'chosen' : ''}`} aria-label={chosen ? `Tenant ${chosen.tenant}` : 'Tenant'}>
        {chosen ? (
          <TenantView key={chosen.tenant} tenant={chosen} changed={reload} />
        ) : (
          <p class="quiet">Choose a tenant to see its limits and keys.</p>
        )}
      </section>
    </div>
  );
}

function NewTenant({ created }: { created: () => Promise<void> }): VNode {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<string>();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(undefined);
    try {
      await setTenant(name, {});
      await created();
      location.hash = hrefOf('tenants', new URLSearchParams({ tenant: name }));
      setName('');
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <form class="inline-form" onSubmit={(event) => void submit(event)}>
      <Field label="New tenant" problem={problem}>
        {(id, describedBy) => (
          <input
            id={id}
            aria-describedby={describedBy}
            spellcheck={false}
            autocomplete="off"
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        )}
      </Field>
      <button type="submit" disabled={name === ''}>
        Create
      </button>
    </form>
  );
}
