import fp from 'fastify-plugin';

import type { RequestTrace } from '../../../tracing/request-trace.js';
import type { Tracing } from '../../../tracing/tracing.js';

/** The part of tracing that the server uses. */
export type ServerTracing = Pick<Tracing, 'startRequest'>;

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's trace; undefined when it is not recorded. */
    trace: RequestTrace | undefined;
  }
}

/**
 * Traces the requests of its scope. Spans have the route's pattern, not the URL, because paths contain prefix names.
 */
export default fp<{ readonly tracing: ServerTracing | undefined }>(
  async (app, { tracing }) => {
    app.decorateRequest('trace', undefined);
    if (!tracing) return;
    app.addHook('onRequest', async (request, reply) => {
      const { id, method, headers, routeOptions } = request;
      const trace = tracing.startRequest({ id, method, route: routeOptions.url }, headers);
      request.trace = trace;
      reply.raw.once('close', () => trace?.end(reply.statusCode));
    });
  },
  { name: 'tracing', fastify: '5.x' },
);
