import type { IncomingMessage } from 'node:http';

import fp from 'fastify-plugin';

/** Long enough for an honest client to send the rest and read its answer: hanging up at once could take that from it. */
const LINGER_MS = 1000;

/** Hangs up on a client that goes on sending a body although its request was answered, as refusals are before the body is read. */
export default fp(
  async (app) => {
    app.addHook('onResponse', async ({ raw }) => hangUpLater(raw));
  },
  { name: 'unread-body', fastify: '5.x' },
);

function hangUpLater(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.destroy(), LINGER_MS).unref();
  request.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
}
