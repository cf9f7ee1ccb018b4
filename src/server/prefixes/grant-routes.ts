import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { PrefixGrants } from '../../prefix/grants.js';
import { errorResponses } from '../schema/error.js';
import { audit } from './audit.js';
import { DeletedGrant, Grant, GrantList, GrantParams } from './grant-schema.js';
import { PrefixParams } from './schema.js';

/** Parts of the program that the routes of grants use. */
export interface GrantDeps {
  readonly library: { readonly grants: Pick<PrefixGrants, 'list' | 'add' | 'remove'> };
}

const tags = ['prefixes'];
const listSchema = {
  operationId: 'listPrefixGrants',
  summary: 'Tenants that may use a prefix',
  tags,
  params: PrefixParams,
  response: { 200: GrantList, ...errorResponses },
};
const addSchema = {
  operationId: 'createPrefixGrant',
  summary: 'Let another tenant use a prefix',
  description:
    'In requests only, as `owner:name`, which `/v1/models` shows to it: it can neither download nor change the prefix. Whether there is such a tenant is not told.',
  tags,
  params: GrantParams,
  response: { 200: Grant, ...errorResponses },
};
const removeSchema = {
  operationId: 'revokePrefixGrant',
  summary: 'Take the leave to use a prefix back',
  description: 'For new requests at once; running ones finish.',
  tags,
  params: GrantParams,
  response: { 200: DeletedGrant, ...errorResponses },
};

/** Routes of the grants of a prefix, for its owner. */
const grantRoutes: FastifyPluginAsyncTypebox<GrantDeps> = async (app, { library }) => {
  app.get('/prefixes/:name/grants', { schema: listSchema }, async ({ tenant, params: { name } }) => ({
    object: 'list' as const,
    data: (await library.grants.list(tenant, name)).map((other) => toGrant(tenant, name, other)),
  }));

  app.put('/prefixes/:name/grants/:tenant', { schema: addSchema }, async (request) => {
    const { tenant, params } = request;
    await library.grants.add(tenant, params.name, params.tenant);
    audit(request, 'grant.add', params.name, { to: params.tenant });
    return toGrant(tenant, params.name, params.tenant);
  });

  app.delete('/prefixes/:name/grants/:tenant', { schema: removeSchema }, async (request) => {
    const { tenant, params } = request;
    await library.grants.remove(tenant, params.name, params.tenant);
    audit(request, 'grant.remove', params.name, { from: params.tenant });
    return { object: 'prefix.grant' as const, name: params.name, tenant: params.tenant, deleted: true as const };
  });
};

export default grantRoutes;

function toGrant(owner: string, name: string, tenant: string): Grant {
  return { object: 'prefix.grant', name, tenant, model: `${owner}:${name}` };
}
