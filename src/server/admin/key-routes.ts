import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { Tenancy } from '../../tenancy/tenancy.js';
import { toIssuedKey, toKeyList } from './response.js';
import { IssuedKey, KeyList, KeyParams, KeyQuery, NewKey, RevokedKey } from './schema.js';
import { errorResponses } from '../schema/error.js';
import { needsAdminKey } from '../schema/security.js';

/** Parts of the program that the key routes use. */
export interface AdminKeyDeps {
  readonly tenancy: Pick<Tenancy, 'createKey' | 'listKeys' | 'revokeKey'>;
}

const tags = ['admin'];
const security = needsAdminKey;
const createSchema = {
  operationId: 'createKey',
  security,
  summary: 'Create a key',
  description: 'The answer is the only place where the key is ever shown. A tenant that is missing is created.',
  tags,
  body: NewKey,
  response: { 201: IssuedKey, ...errorResponses },
};
const listSchema = {
  operationId: 'listKeys',
  security,
  summary: 'List keys',
  tags,
  querystring: KeyQuery,
  response: { 200: KeyList, ...errorResponses },
};
const revokeSchema = {
  operationId: 'revokeKey',
  security,
  summary: 'Revoke a key',
  description: 'Refused on every replica within half a second. Requests that are running finish.',
  tags,
  params: KeyParams,
  response: { 200: RevokedKey, ...errorResponses },
};

/** Routes of `/v1/admin/keys`. */
const adminKeyRoutes: FastifyPluginAsyncTypebox<AdminKeyDeps> = async (app, { tenancy }) => {
  app.post('/keys', { schema: createSchema }, async ({ body: { tenant, label }, log }, reply) => {
    const issued = await tenancy.createKey({ tenant, label });
    log.info({ key: issued.record.id, owner: tenant }, 'key created');
    return reply.code(201).header('cache-control', 'no-store').send(toIssuedKey(issued));
  });

  app.get('/keys', { schema: listSchema }, async ({ query: { tenant, limit, after } }) =>
    toKeyList(await tenancy.listKeys({ tenant, after, limit: Number(limit ?? 20) })),
  );

  app.delete('/keys/:id', { schema: revokeSchema }, async ({ params: { id }, log }) => {
    await tenancy.revokeKey(id);
    log.info({ key: id }, 'key revoked');
    return { id, object: 'key' as const, deleted: true as const };
  });
};

export default adminKeyRoutes;
