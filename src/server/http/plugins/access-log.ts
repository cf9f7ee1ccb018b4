import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { Usage } from '../../../completions/answer/schema.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Reads the token counts of a completion, for the access log. Null until a completion is admitted. */
    usage: (() => Usage) | null;
  }
}

/** Logs each request, with or without a route, when its answer is out. */
export default fp(
  async (app) => {
    app.decorateRequest('usage', null);
    app.addHook('onRequest', async (request, reply) => logRequest(request, reply));
  },
  { name: 'access-log', fastify: '5.x', dependencies: ['tenant'] },
);

/**
 * Writes one line when the answer is out: tenant, route, status, duration and token counts. Logs the route's pattern,
 * not the URL, because paths contain prefix names.
 */
export function logRequest(request: FastifyRequest, reply: FastifyReply): void {
  reply.raw.once('close', () => {
    const line = {
      tenant: request.tenant,
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      finished: reply.raw.writableFinished,
      ms: Math.round(reply.elapsedTime),
      ...request.usage?.(),
    };
    request.log.info(line, 'request');
  });
}
