import type { FastifyReply } from 'fastify';

import type { FileStream } from '../../prefix/store.js';

/** Answers with a stored file. It is read as the client takes it; where that fails, the connection breaks. */
export function sendFile(reply: FastifyReply, contentType: string, { bytes, content }: FileStream): FastifyReply {
  if (reply.request.method === 'HEAD') content.destroy(); // it would be read to its end
  return reply.header('content-type', contentType).header('content-length', bytes).send(content);
}
