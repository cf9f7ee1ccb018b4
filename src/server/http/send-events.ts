import type { FastifyReply } from 'fastify';

import type { Send } from '../../completions/answer/response.js';
import { toApiError } from '../errors.js';
import { SseStream } from './sse-stream.js';
import { logError } from './plugins/error-handler.js';

/**
 * Answers with server-sent events. Call it once nothing can be refused any more: the status is sent at once, and
 * later errors become events of the stream.
 */
export function sendEvents(reply: FastifyReply, produce: (send: Send) => Promise<void>): FastifyReply {
  const events = new SseStream();
  void produceAll(events, reply, produce);
  return reply
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-cache')
    .header('x-accel-buffering', 'no')
    .send(events.readable);
}

async function produceAll(events: SseStream, { request }: FastifyReply, produce: (send: Send) => Promise<void>) {
  try {
    await produce((data) => events.send(data));
  } catch (thrown) {
    const error = toApiError(thrown);
    logError(error, request);
    await events.send(error.toEnvelope());
  }
  await events.done();
}
