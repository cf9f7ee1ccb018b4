import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { Caller } from '../../../tenancy/tenancy.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The tenant that sends the request, and whose things it may see. Empty until `auth` has set it. */
    tenant: string;
    /** The tenant with its limits. Null until `auth` has set it. */
    caller: Caller | null;
  }
}

/** Adds the fields `tenant` and `caller` to every request. */
export default fp(
  async (app) => {
    app.decorateRequest('tenant', '');
    app.decorateRequest('caller', null);
  },
  { name: 'tenant', fastify: '5.x' },
);

/** The caller of a request that `auth` admitted. Throws on routes outside of `auth`. */
export function callerOf({ caller }: Pick<FastifyRequest, 'caller'>): Caller {
  if (!caller) throw new Error('a route that needs its caller is outside of auth');
  return caller;
}
