import { createHash, timingSafeEqual } from 'node:crypto';

import fp from 'fastify-plugin';

import { ApiError } from '../errors.js';

/** A key and the tenant that it authenticates. */
export interface ApiKey {
  readonly tenant: string;
  readonly key: string;
}

export interface AuthOptions {
  /** Empty: no keys are asked for, and everybody is the tenant `default`. */
  readonly keys: readonly ApiKey[];
}

/** The tenant of a server without keys. */
export const DEFAULT_TENANT = 'default';

/** Sets `request.tenant` from the bearer key for every route of its scope, before the body is read. */
export default fp<AuthOptions>(
  async (app, { keys }) => {
    const findTenant = keys.length === 0 ? (): string => DEFAULT_TENANT : tenantFinder(keys);
    app.addHook('onRequest', async (request) => {
      const tenant = findTenant(request.headers.authorization);
      if (tenant === undefined)
        throw new ApiError('invalid_api_key', 'Send a valid key as `Authorization: Bearer KEY`.');
      request.tenant = tenant;
    });
  },
  { name: 'auth', fastify: '5.x', dependencies: ['tenant'] },
);

/** Compares digests, all of them every time: neither a key's length nor its place shows in the time it takes. */
function tenantFinder(keys: readonly ApiKey[]): (authorization: string | undefined) => string | undefined {
  const digests = keys.map(({ tenant, key }) => ({ tenant, digest: sha256(key) }));
  return (authorization) => {
    const given = sha256(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
    return digests.filter(({ digest }) => timingSafeEqual(digest, given)).at(0)?.tenant;
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
