import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import fp from 'fastify-plugin';

const HEADER = 'x-request-id';

/** The client's request id if it is safe in logs and headers, otherwise a new one. */
export function requestId(headers: IncomingHttpHeaders): string {
  const given = headers[HEADER];
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID();
}

/** Puts the request's id on every answer. */
export default fp(
  async (app) => {
    app.addHook('onRequest', async (request, reply) => {
      reply.header(HEADER, request.id);
    });
  },
  { name: 'request-id', fastify: '5.x' },
);
