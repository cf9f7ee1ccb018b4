import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { ApiError } from '../errors.js';
import { requestId } from './plugins/request-id.js';

/** Node's name for the answer that a connection is busy with; it has no other. */
export interface BusySocket {
  readonly _httpMessage?: ServerResponse | null;
}

/**
 * Answers what is no HTTP at all, has too large a header or comes too slowly, with the same envelope as everything else; then hangs
 * up. Where an answer is under way already, a second one would only be read as a part of it.
 */
export function handleClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const answering = (socket as BusySocket)._httpMessage?.headersSent ?? false;
  if (!socket.writable || answering) socket.destroy();
  else socket.end(toResponse(toRefusal(error)), () => socket.destroy());
}

function toRefusal({ code }: NodeJS.ErrnoException): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') return new ApiError('headers_too_large', 'The headers are too large.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new ApiError('request_timeout', 'The request took too long to send.');
  return new ApiError('invalid_request', 'The request cannot be read.');
}

function toResponse(refusal: ApiError): string {
  const body = JSON.stringify(refusal.toEnvelope());
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId({})}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
