import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { ApiError } from '../errors.js';
import { requestId } from './plugins/request-id.js';

/** A socket with the answer in progress on it. The field is Node's internal name; there is no public one. */
export interface BusySocket {
  readonly _httpMessage?: ServerResponse | null;
}

/**
 * Answers a connection that sends no HTTP, has too large headers or is too slow, with the usual error envelope, then
 * hangs up. If an answer was already begun, only hangs up: a second answer would be read as part of the first.
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
