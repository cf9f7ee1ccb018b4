import fp from 'fastify-plugin';

import type { Tenancy } from '../../tenancy/tenancy.js';
import { bearerKey } from '../bearer-key.js';
import { ApiError } from '../errors.js';

export interface AuthOptions {
  readonly tenancy: Pick<Tenancy, 'authenticate'>;
}

/** Sets `request.tenant` and `request.limits` from the bearer key for every route of its scope, before the body is read. */
export default fp<AuthOptions>(
  async (app, { tenancy }) => {
    app.addHook('onRequest', async (request) => {
      const caller = await tenancy.authenticate(bearerKey(request));
      if (!caller) throw new ApiError('invalid_api_key', 'Send a valid key as `Authorization: Bearer KEY`.');
      request.tenant = caller.tenant;
      request.limits = caller.limits;
    });
  },
  { name: 'auth', fastify: '5.x', dependencies: ['tenant'] },
);
