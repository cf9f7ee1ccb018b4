import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { startCompletion, type CompletionDeps } from '../completions/completion.js';
import { exchangeOf } from '../completions/exchange.js';
import { collectCompletion, streamCompletion } from '../completions/response.js';
import { callerOf } from '../plugins/tenant.js';
import { completionAnswers, CompletionRequest } from '../schemas/completion.js';
import { errorResponses } from '../schemas/error.js';
import { sendEvents } from '../send-events.js';

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
