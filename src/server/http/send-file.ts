import type { FastifyReply } from 'fastify';

import type { FileStream } from '../../prefix/store.js';

/** Answers with a stored file, read as fast as the client takes it. If reading fails, the connection breaks. */
export function sendFile(reply: FastifyReply, contentType: string, { bytes, content }: FileStream): FastifyReply {
  if (reply.request.method === 'HEAD') content.destroy(); // otherwise the whole file would be read
  return reply.header('content-type', contentType).header('content-length', bytes).send(content);
}
