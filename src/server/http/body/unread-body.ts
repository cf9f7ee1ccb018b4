import type { IncomingMessage } from 'node:http';

import fp from 'fastify-plugin';

/** Time for a client to send the rest of its body and read the answer. Hanging up at once could lose the answer. */
const LINGER_MS = 1000;

/**
 * Hangs up on a client that keeps sending a body after its request was answered, as happens when a request is refused
 * before its body is read.
 */
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
