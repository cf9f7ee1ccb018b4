import type { Socket } from 'node:net';

import { ApiError } from './errors.js';
import { requestId } from './plugins/request-id.js';

/** Answers what is no HTTP at all, or has too large a header, with the same envelope as everything else; then hangs up. */
export function handleClientError(_: Error, socket: Socket): void {
  if (!socket.writable) return;
  const body = JSON.stringify(new ApiError('invalid_request', 'The request cannot be read.').toEnvelope());
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId({})}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
