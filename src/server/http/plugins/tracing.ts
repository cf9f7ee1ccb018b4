import fp from 'fastify-plugin';

import type { RequestTrace } from '../../../tracing/request-trace.js';
import type { Tracing } from '../../../tracing/tracing.js';

/** What the server needs of tracing. */
export type ServerTracing = Pick<Tracing, 'startRequest'>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Its spans; undefined where it is not traced. */
    trace: RequestTrace | undefined;
  }
}

/** Traces the requests of its scope. The route's pattern stands for the URL, because paths carry prefix names. */
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
