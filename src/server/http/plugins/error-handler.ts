import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import { ApiError, toApiError } from '../../errors.js';
import { toValidationError, type ValidationError } from '../validation.js';

/** Every error, thrown anywhere, leaves as OpenAI's envelope. Failures of ours are logged with their details. */
export default fp(
  async (app) => {
    app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
    app.setNotFoundHandler((request, reply) =>
      sendError(new ApiError('route_not_found', 'No such route.'), request, reply),
    );
  },
  { name: 'error-handler', fastify: '5.x', dependencies: ['metrics'] },
);

/** Answers a request with an error. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = isValidation(error) ? toValidationError(error.validation) : toApiError(error);
  logError(refusal, request);
  reply.headers(refusal.headers);
  if (refusal.code === 'invalid_api_key') reply.header('www-authenticate', 'Bearer');
  if (refusal.code === 'server_draining') reply.header('connection', 'close');
  // Fastify would have the connection end with this answer, in the midst of what the client sends: `unread-body` waits for it.
  if (refusal.code === 'request_too_large') reply.removeHeader('connection');
  void reply
    .code(refusal.status)
    .header('content-type', 'application/json')
    .serializer(JSON.stringify)
    .send(refusal.toEnvelope());
}

/** Counts an error and logs it. Refusals are the client's and leave only their code in the log: `param` may be a word of theirs. A failure of ours leaves its place. */
export function logError(error: ApiError, request: FastifyRequest): void {
  request.server.metrics.failed(error.code);
  request.trace?.failed(error);
  if (error.status === 500) request.log.error({ err: error.cause ?? error }, 'request failed');
  else request.log.debug({ code: error.code }, 'request refused');
}

function isValidation(error: unknown): error is Error & { validation: ValidationError[] } {
  return error instanceof Error && 'validation' in error && Array.isArray(error.validation);
}
