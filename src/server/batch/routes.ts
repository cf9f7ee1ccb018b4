import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';

import { startBatch, type BatchDeps } from './batch.js';
import { batchUsage, collectBatch, streamBatch } from './response.js';
import { exchangeOf } from '../completions/exchange.js';
import { callerOf } from '../http/plugins/tenant.js';
import { batchAnswers, BatchRequest } from './schema.js';
import { CompletionRequest } from '../completions/schema.js';
import { errorResponses } from '../schema/error.js';
import { sendEvents } from '../http/send-events.js';
import { toValidationError } from '../http/validation.js';

const schema = {
  summary: 'Complete many prompts, each with its own model, in one call',
  tags: ['completions'],
  body: BatchRequest,
  response: { 200: batchAnswers, ...errorResponses },
};

/** `POST /batch/completions`. */
const batchRoutes: FastifyPluginAsyncTypebox<BatchDeps> = async (app, deps) => {
  app.post('/batch/completions', { schema }, async (request, reply) => {
    const check = (body: unknown): CompletionRequest => checkCompletion(request, body);
    const items = await startBatch(deps, callerOf(request), request.body, check, exchangeOf(request, reply));
    request.usage = () => batchUsage(items);
    if (!request.body.stream) return collectBatch(items, request);
    return sendEvents(reply, (send) => streamBatch(items, send, request));
  });
};

export default batchRoutes;

/** The schema check that `POST /completions` gets from its route. */
function checkCompletion(request: FastifyRequest, body: unknown): CompletionRequest {
  const validate = request.compileValidationSchema(CompletionRequest);
  if (!validate(body)) throw toValidationError(validate.errors ?? []);
  return body as CompletionRequest;
}
