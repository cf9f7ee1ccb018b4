import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import type { Usage } from '../../completions/schema.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Token counts of a completion, once it is admitted: the access log reads them when the answer is out. */
    usage: (() => Usage) | null;
  }
}

/** `logRequest` for each request that reaches a route or finds none. */
export default fp(
  async (app) => {
    app.decorateRequest('usage', null);
    app.addHook('onRequest', async (request, reply) => logRequest(request, reply));
  },
  { name: 'access-log', fastify: '5.x', dependencies: ['tenant'] },
);

/**
 * Writes one line when the answer is out: who, which route, how it ended, how long it took and how many tokens. The route's pattern
 * stands for its URL, because paths carry prefix names.
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
