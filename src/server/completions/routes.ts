import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { completionJson } from '../../completions/answer/json.js';
import { collectCompletion, streamCompletion } from '../../completions/answer/response.js';
import { sumUsage } from '../../completions/answer/usage.js';
import { startCompletion } from '../../completions/completion.js';
import { PIECES_A_TURN } from '../../completions/context.js';
import { startMany, type ManyDeps } from '../../completions/many.js';
import { CompletionRequest } from '../../completions/request/schema.js';
import { callerOf } from '../http/plugins/tenant.js';
import { rateLimitHeaders } from '../http/rate-limit-headers.js';
import { sendEvents } from '../http/send-events.js';
import { sendJson } from '../http/send-json.js';
import { errorResponses } from '../schema/error.js';
import { manyJson } from './many-json.js';
import { collectMany, streamMany } from './many-response.js';
import { manyAnswers, ManyRequest } from './many-schema.js';
import { contextOf, leaveToCompletions, reservationOf, reserve } from './reserve.js';
import { completionAnswers } from './schema.js';

const completionSchema = {
  operationId: 'createCompletion',
  summary: 'Complete a prompt',
  tags: ['completions'],
  body: CompletionRequest,
  response: { 200: completionAnswers, ...errorResponses },
};
const manySchema = {
  operationId: 'createBatchCompletion',
  summary: 'Complete many prompts, each with its own model, in one call',
  description: 'The `x-ratelimit-` headers tell what is left after the last of them was admitted.',
  tags: ['completions'],
  body: ManyRequest,
  response: { 200: manyAnswers, ...errorResponses },
};

/**
 * `POST /completions` and `POST /batch/completions`. Rate-limit headers of the latter are the state of the tenant's limits after the
 * last item was admitted, or refused by them; there are none where no item came that far.
 */
const completionRoutes: FastifyPluginAsyncTypebox<ManyDeps> = async (app, deps) => {
  reserve(app, deps);
  const options = { schema: completionSchema, validatorCompiler: leaveToCompletions };
  app.post('/completions', options, async (request, reply) => {
    const context = contextOf(request, reply);
    const reserved = { body: request.body, reservation: reservationOf(request) };
    const completion = await startCompletion(deps, callerOf(request), reserved, context);
    request.usage = completion.usage;
    reply.headers(rateLimitHeaders(completion.admission));
    if (!completion.params.stream)
      return sendJson(reply, completionJson(await collectCompletion(completion)), () =>
        context.mayWrite(PIECES_A_TURN),
      );
    return sendEvents(reply, (send) => streamCompletion(completion, send));
  });

  app.post('/batch/completions', { schema: manySchema }, async (request, reply) => {
    const { requests } = request.body;
    const stream = request.body.stream ?? false;
    const context = contextOf(request, reply);
    const many = { requests, stream, reservation: reservationOf(request) };
    const { items, admission = {} } = await startMany(deps, callerOf(request), many, context);
    request.usage = () => sumUsage(items.flatMap(({ completion }) => completion?.usage() ?? []));
    reply.headers(rateLimitHeaders(admission));
    if (!stream)
      return sendJson(reply, manyJson(await collectMany(items, request)), () => context.mayWrite(PIECES_A_TURN));
    return sendEvents(reply, (send) => streamMany(items, send, request));
  });
};

export default completionRoutes;
