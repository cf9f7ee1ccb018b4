import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { Caller } from '../../../tenancy/tenancy.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose things this request may see. Empty until `auth` has found out. */
    tenant: string;
    /** That tenant, and what it may take. Null until `auth` has found out. */
    caller: Caller | null;
  }
}

/** Gives each request a place for its tenant. */
export default fp(
  async (app) => {
    app.decorateRequest('tenant', '');
    app.decorateRequest('caller', null);
  },
  { name: 'tenant', fastify: '5.x' },
);

/** Who sends a request that `auth` has let in. */
export function callerOf({ caller }: Pick<FastifyRequest, 'caller'>): Caller {
  if (!caller) throw new Error('a route that needs its caller is outside of auth');
  return caller;
}
