import { CompletionChunk, CompletionResponse } from '../../completions/answer/schema.js';

/** The answers to a completion request. */
export const completionAnswers = {
  description: 'The whole answer or, with `stream`, an event for each chunk and `[DONE]` at the end.',
  content: {
    'application/json': { schema: CompletionResponse },
    'text/event-stream': { schema: CompletionChunk },
  },
};
