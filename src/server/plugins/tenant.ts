import fp from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose things this request may see. Empty until `auth` has found out. */
    tenant: string;
  }
}

/** Gives each request a place for its tenant. */
export default fp(
  async (app) => {
    app.decorateRequest('tenant', '');
  },
  { name: 'tenant', fastify: '5.x' },
);
