import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { Tenancy } from '../../../tenancy/tenancy.js';
import { bearerKey } from '../bearer-key.js';
import { ApiError } from '../../errors.js';

/** The part of tenancy that authentication uses. */
export interface AuthOptions {
  readonly tenancy: Pick<Tenancy, 'authenticate'>;
}

/**
 * Sets `request.tenant` and `request.caller` from the bearer key, for every route of its scope. Checks the key before
 * the body is read, and again afterwards: a body may take minutes, and nothing may be stored for a tenant deleted
 * meanwhile.
 */
export default fp<AuthOptions>(
  async (app, { tenancy }) => {
    const letIn = async (request: FastifyRequest): Promise<void> => {
      const caller = await tenancy.authenticate(bearerKey(request));
      if (!caller) throw new ApiError('invalid_api_key', 'Send a valid key as `Authorization: Bearer KEY`.');
      request.tenant = caller.tenant;
      request.caller = caller;
    };
    app.addHook('onRequest', letIn);
    app.addHook('preHandler', async (request) => {
      if (request.body !== undefined) await letIn(request);
    });
  },
  { name: 'auth', fastify: '5.x', dependencies: ['tenant'] },
);
