import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { PrefixLibrary } from '../../prefix/library.js';
import { callerOf } from '../http/plugins/tenant.js';
import { errorResponses } from '../schema/error.js';
import { type Abilities, toMe } from './response.js';
import { Me } from './schema.js';

/** Parts of the program that the route uses. */
interface MeDeps {
  readonly library: Pick<PrefixLibrary, 'list'>;
  readonly abilities: Abilities;
}

const schema = {
  operationId: 'retrieveMe',
  summary: 'Whose key it is, its limits and use, and the base model',
  tags: ['account'],
  response: { 200: Me, ...errorResponses },
};

/** `GET /me`. */
const meRoutes: FastifyPluginAsyncTypebox<MeDeps> = async (app, { library, abilities }) => {
  app.get('/me', { schema }, async (request) => {
    const caller = callerOf(request);
    const { data } = await library.list(caller.tenant);
    return toMe(caller, data, abilities);
  });
};

export default meRoutes;
