import type { TSchema } from 'typebox';

import { CompletionChunk, CompletionResponse } from '../../completions/answer/schema.js';
import { ChatCompletion, ChatCompletionChunk } from '../../completions/chat/schema.js';

/** The answers to a completion request. */
export const completionAnswers = answers(CompletionResponse, CompletionChunk);

/** The answers to a chat completion request. */
export const chatAnswers = answers(ChatCompletion, ChatCompletionChunk);

function answers<Whole extends TSchema, Chunk extends TSchema>(whole: Whole, chunk: Chunk) {
  return {
    description: 'The whole answer or, with `stream`, an event for each chunk and `[DONE]` at the end.',
    content: { 'application/json': { schema: whole }, 'text/event-stream': { schema: chunk } },
  };
}
