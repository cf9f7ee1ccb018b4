import fp from 'fastify-plugin';

import { isSameSecret } from '../../../tenancy/static-keys.js';
import { bearerKey } from '../bearer-key.js';
import { ApiError } from '../../errors.js';

/** Admits only the operator's key to the routes of its scope. Tenants' keys are refused. */
export default fp<{ key: string }>(
  async (app, { key }) => {
    app.addHook('onRequest', async (request) => {
      if (isSameSecret(key, bearerKey(request) ?? '')) return;
      throw new ApiError('invalid_api_key', 'Send the admin key as `Authorization: Bearer KEY`.');
    });
  },
  { name: 'admin-auth', fastify: '5.x' },
);
