import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { startCompletion, type CompletionDeps } from './completion.js';
import { exchangeOf } from './exchange.js';
import { collectCompletion, streamCompletion } from './response.js';
import { callerOf } from '../http/plugins/tenant.js';
import { completionAnswers, CompletionRequest } from './schema.js';
import { errorResponses } from '../schema/error.js';
import { sendEvents } from '../http/send-events.js';

const schema = {
  summary: 'Complete a prompt',
  tags: ['completions'],
  body: CompletionRequest,
  response: { 200: completionAnswers, ...errorResponses },
};

/** `POST /completions`. */
const completionRoutes: FastifyPluginAsyncTypebox<CompletionDeps> = async (app, deps) => {
  app.post('/completions', { schema }, async (request, reply) => {
    const completion = await startCompletion(deps, callerOf(request), request.body, exchangeOf(request, reply));
    request.usage = completion.usage;
    reply.headers(completion.headers);
    if (!completion.params.stream) return collectCompletion(completion);
    return sendEvents(reply, (send) => streamCompletion(completion, send));
  });
};

export default completionRoutes;
