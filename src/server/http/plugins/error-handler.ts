import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import { StoreError } from '../../../lib/store-error.js';
import { ApiError, toApiError } from '../../errors.js';
import type { SchemaError } from '../../../lib/schema/violation.js';
import { refuseMediaType } from '../media-type.js';
import { toValidationError } from '../validation.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** Hears of each answer that a store prevents. */
    storeFailed: (error: StoreError) => void;
  }
}

/**
 * Answers every error with OpenAI's envelope, logs the details of internal failures, and tells of those of a store. Register it
 * before all routes: those registered earlier keep fastify's handler.
 */
export default fp<Pick<FastifyInstance, 'storeFailed'>>(
  async (app, { storeFailed }) => {
    app.decorate('storeFailed', storeFailed);
    app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
    app.setNotFoundHandler((request, reply) => sendError(noRoute(), request, reply));
  },
  { name: 'error-handler', fastify: '5.x' },
);

/** The refusal of a path that has no route. */
export function noRoute(): ApiError {
  return new ApiError('route_not_found', 'No such route.');
}

/** Answers a request with an error. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = toRefusal(error, request);
  logError(refusal, request);
  reply.headers(refusal.headers);
  if (refusal.code === 'invalid_api_key') reply.header('www-authenticate', 'Bearer');
  if (refusal.code === 'server_draining') reply.header('connection', 'close');
  // Fastify would close the connection while the client is still sending; `unread-body` closes it later.
  if (refusal.code === 'request_too_large') reply.removeHeader('connection');
  void reply
    .code(refusal.status)
    .header('content-type', 'application/json')
    .serializer(JSON.stringify)
    .send(refusal.toEnvelope());
}

/**
 * Counts and logs an error. A refusal leaves only its code in the log, because `param` may be a word of the client's;
 * an internal failure leaves its stack. A store that fails for a while is logged once, by who hears of it.
 */
export function logError(error: ApiError, request: FastifyRequest): void {
  request.server.metrics.failed(error.code);
  request.trace?.failed(error);
  if (error.cause instanceof StoreError) request.server.storeFailed(error.cause);
  if (error.status === 500) request.log.error({ err: error.cause ?? error }, 'request failed');
  else request.log.debug({ code: error.code }, 'request refused');
}

function toRefusal(error: unknown, request: FastifyRequest): ApiError {
  if (isValidation(error)) return toValidationError(error.validation);
  return isMediaType(error) ? refuseMediaType(request) : toApiError(error);
}

function isMediaType(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
}

function isValidation(error: unknown): error is Error & { validation: SchemaError[] } {
  return error instanceof Error && 'validation' in error && Array.isArray(error.validation);
}
