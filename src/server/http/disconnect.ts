import { setMaxListeners } from 'node:events';

import type { FastifyReply } from 'fastify';

/**
 * Aborts when the client goes away before it has its whole answer. The reply is watched, not the request: a request closes as
 * soon as its body is read.
 */
export function disconnectSignal(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const controller = new AbortController();
  // Every item of a batch listens.
  setMaxListeners(0, controller.signal);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
