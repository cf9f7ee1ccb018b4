import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { Batches } from '../../batches/batches.js';
import type { Files } from '../../files/files.js';
import type { FineTuning } from '../../fine-tuning/fine-tuning.js';
import type { PrefixGrants } from '../../prefix/grants.js';
import type { PrefixLibrary } from '../../prefix/library.js';
import { TenancyError } from '../../tenancy/errors.js';
import type { Tenancy } from '../../tenancy/tenancy.js';
import { toLimitChanges, toTenant, toTenantList } from './response.js';
import {
  DeletedTenant,
  DeleteTenantQuery,
  Tenant,
  TenantChanges,
  TenantList,
  TenantParams,
  TenantQuery,
} from './schema.js';
import { errorResponses } from '../schema/error.js';
import { needsAdminKey } from '../schema/security.js';

/** Parts of the program that the tenant routes use. */
export interface AdminTenantDeps {
  readonly tenancy: Pick<Tenancy, 'listTenants' | 'getTenant' | 'setTenant' | 'deleteTenant'>;
  readonly library: Pick<PrefixLibrary, 'list' | 'delete'> & { readonly grants: Pick<PrefixGrants, 'endAll'> };
  /** Undefined when tenants have no files, jobs and batches. */
  readonly fineTuning?: Pick<FineTuning, 'cancelAll' | 'deleteAll'> | undefined;
  readonly batches?: Pick<Batches, 'cancelAll' | 'deleteAll'> | undefined;
  readonly files?: Pick<Files, 'deleteAll'> | undefined;
}

const tags = ['admin'];
const security = needsAdminKey;
const listSchema = {
  operationId: 'listTenants',
  security,
  summary: 'List tenants and their limits',
  tags,
  querystring: TenantQuery,
  response: { 200: TenantList, ...errorResponses },
};
const getSchema = {
  operationId: 'retrieveTenant',
  security,
  summary: 'A tenant and its limits',
  tags,
  params: TenantParams,
  response: { 200: Tenant, ...errorResponses },
};
const setSchema = {
  operationId: 'setTenant',
  security,
  summary: 'Create a tenant, or change its limits',
  description: 'In force on every replica within half a second.',
  tags,
  params: TenantParams,
  body: TenantChanges,
  response: { 200: Tenant, 201: Tenant, ...errorResponses },
};
const deleteSchema = {
  operationId: 'deleteTenant',
  security,
  summary: 'Delete a tenant and revoke its keys',
  description:
    'Its fine-tuning jobs and batches that are queued or running are cancelled, and nothing of them is kept. Grants of prefixes to it and by it end. Its prefixes, files and jobs stay unless `prefixes=true`: a tenant of the same name finds them again.',
  tags,
  params: TenantParams,
  querystring: DeleteTenantQuery,
  response: { 200: DeletedTenant, ...errorResponses },
};

/** Routes of `/v1/admin/tenants`. */
const adminTenantRoutes: FastifyPluginAsyncTypebox<AdminTenantDeps> = async (app, deps) => {
  const { tenancy } = deps;
  app.get('/tenants', { schema: listSchema }, async ({ query: { limit, after } }) =>
    toTenantList(await tenancy.listTenants({ after, limit: Number(limit ?? 20) })),
  );

  app.get('/tenants/:tenant', { schema: getSchema }, async ({ params }) =>
    toTenant(await tenancy.getTenant(params.tenant)),
  );

  app.post('/tenants/:tenant', { schema: setSchema }, async ({ params, body }, reply) => {
    const { created, info } = await tenancy.setTenant(params.tenant, toLimitChanges(body));
    return reply.code(created ? 201 : 200).send(toTenant(info));
  });

  app.delete('/tenants/:tenant', { schema: deleteSchema }, async ({ params: { tenant }, query }) => {
    // Keys first, then jobs, so that nothing is stored while prefixes are deleted. A call that was cut off can be repeated.
    const existed = await tenancy.deleteTenant(tenant);
    await deps.fineTuning?.cancelAll(tenant);
    await deps.batches?.cancelAll(tenant);
    await deps.library.grants.endAll(tenant);
    const { prefixes, others } = query.prefixes === 'true' ? await deleteAll(deps, tenant) : NOTHING;
    if (!existed && prefixes + others === 0) throw new TenancyError('tenant_not_found', 'There is no such tenant.');
    return { id: tenant, object: 'tenant' as const, deleted: true as const, prefixes_deleted: prefixes };
  });
};

export default adminTenantRoutes;

/** Counts of a tenant's deleted things. */
interface Deleted {
  readonly prefixes: number;
  /** Files, jobs and batches. */
  readonly others: number;
}

const NOTHING: Deleted = { prefixes: 0, others: 0 };

async function deleteAll({ library, ...deps }: AdminTenantDeps, tenant: string): Promise<Deleted> {
  let others = 0;
  for (const things of [deps.fineTuning, deps.batches, deps.files]) others += (await things?.deleteAll(tenant)) ?? 0;
  const { data } = await library.list(tenant);
  for (const { name } of data) await library.delete(tenant, name);
  return { prefixes: data.length, others };
}
