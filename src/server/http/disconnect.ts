import { setMaxListeners } from 'node:events';

import type { FastifyReply } from 'fastify';

/**
 * A signal that aborts when the client disconnects before it has the whole answer. Watches the response, not the
 * request: a request closes as soon as its body is read.
 */
export function disconnectSignal(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const controller = new AbortController();
  // Every request of a call of many listens.
  setMaxListeners(0, controller.signal);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
