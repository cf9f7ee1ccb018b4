import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import { deleteTenant } from '../api/admin.js';
import type { Tenant } from '../api/types.js';
import { hrefOf } from '../app/route.js';
import { Confirm } from '../ui/confirm.js';
import { Keys } from './keys.js';
import { Limits } from './limits.js';

interface TenantViewProps {
  readonly tenant: Tenant;
  readonly changed: () => Promise<void>;
}

/** One tenant: limits, keys and deletion. */
export function TenantView({ tenant, changed }: TenantViewProps): VNode {
  const [asks, setAsks] = useState(false);
  const [withThings, setWithThings] = useState(false);
  return (
    <>
      <div class="title-row">
        <h2>{tenant.tenant}</h2>
        {!tenant.static && (
          <button type="button" class="danger" onClick={() => setAsks(true)}>
            Delete
          </button>
        )}
      </div>
      <Limits tenant={tenant} changed={changed} />
      <Keys tenant={tenant.tenant} changed={changed} />
      {asks && (
        <Confirm
          title="Delete this tenant?"
          action="Delete"
          close={() => setAsks(false)}
          act={async () => {
            await deleteTenant(tenant.tenant, withThings);
            location.hash = hrefOf('tenants');
            await changed();
          }}
        >
          “{tenant.tenant}” and its keys are refused at once.
          <label class="check">
            <input
              type="checkbox"
              checked={withThings}
              onChange={({ currentTarget }) => setWithThings(currentTarget.checked)}
            />
            Its prefixes, files and jobs are deleted too
          </label>
        </Confirm>
      )}
    </>
  );
}
