import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { chatJson } from '../../completions/answer/json.js';
import { collectChat, streamChat } from '../../completions/chat/answer.js';
import { type ChatDeps, startChat } from '../../completions/chat/chat.js';
import { ChatRequest } from '../../completions/chat/schema.js';
import { PIECES_A_TURN } from '../../completions/context.js';
import { callerOf } from '../http/plugins/tenant.js';
import { rateLimitHeaders } from '../http/rate-limit-headers.js';
import { sendEvents } from '../http/send-events.js';
import { sendJson } from '../http/send-json.js';
import { errorResponses } from '../schema/error.js';

import { contextOf, leaveToCompletions, type ReservationDeps, reservationOf, reserve } from './reserve.js';
import { chatAnswers } from './schema.js';

const schema = {
  operationId: 'createChatCompletion',
  summary: 'Complete a conversation',
  description: 'For a model with a chat template; to others it is 400 `chat_unsupported`.',
  tags: ['completions'],
  body: ChatRequest,
  response: { 200: chatAnswers, ...errorResponses },
};

/** `POST /chat/completions`. */
const chatRoutes: FastifyPluginAsyncTypebox<ChatDeps & ReservationDeps> = async (app, deps) => {
  reserve(app, deps);
  app.post('/chat/completions', { schema, validatorCompiler: leaveToCompletions }, async (request, reply) => {
    const { tokenizer } = deps;
    const context = contextOf(request, reply);
    const reserved = { body: request.body, reservation: reservationOf(request) };
    const completion = await startChat(deps, callerOf(request), reserved, context);
    request.usage = completion.usage;
    reply.headers(rateLimitHeaders(completion.admission));
    if (completion.params.stream) return sendEvents(reply, (send) => streamChat(completion, tokenizer, send));
    return sendJson(reply, chatJson(await collectChat(completion, tokenizer)), () => context.mayWrite(PIECES_A_TURN));
  });
};

export default chatRoutes;
