import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { TenantLimits } from '../../tenancy/limits.js';
import type { Caller } from '../../tenancy/tenancy.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose things this request may see. Empty until `auth` has found out. */
    tenant: string;
    /** What that tenant may take. Null until `auth` has found out. */
    limits: TenantLimits | null;
  }
}

/** Gives each request a place for its tenant. */
export default fp(
  async (app) => {
    app.decorateRequest('tenant', '');
    app.decorateRequest('limits', null);
  },
  { name: 'tenant', fastify: '5.x' },
);

/** Who sends a request that `auth` has let in. */
export function callerOf({ tenant, limits }: Pick<FastifyRequest, 'tenant' | 'limits'>): Caller {
  if (!limits) throw new Error('a route that needs its caller is outside of auth');
  return { tenant, limits };
}
