import { Type, type Static } from 'typebox';

import { CompletionChunk, CompletionResponse } from '../completions/schema.js';
import { ErrorEnvelope } from '../schema/error.js';
import { optional } from '../../lib/schema/optional.js';

/**
 * One request of a batch. Validation leaves `body` open: a bad one is that item's own failure, so the route checks each
 * with `CompletionRequest`.
 */
const BatchItem = Type.Object(
  {
    custom_id: Type.String({ minLength: 1, maxLength: 256 }),
    body: Type.Unsafe<unknown>({ type: 'object', description: 'A completion request.' }),
  },
  { additionalProperties: false },
);

/** The body of `POST /v1/batch/completions`. */
export const BatchRequest = Type.Object(
  { requests: Type.Array(BatchItem, { minItems: 1 }), stream: optional(Type.Boolean({ default: false })) },
  {
    additionalProperties: false,
    title: 'BatchRequest',
    examples: [
      {
        requests: [
          { custom_id: 'a', body: { model: 'headlines', prompt: 'The', max_tokens: 24, temperature: 0 } },
          { custom_id: 'b', body: { model: 'preamble-demo', prompt: 'The', max_tokens: 24, temperature: 0 } },
        ],
      },
    ],
  },
);
export type BatchRequest = Static<typeof BatchRequest>;

const BatchResult = Type.Object({
  custom_id: Type.String(),
  response: Type.Object({ status_code: Type.Integer(), body: Type.Union([CompletionResponse, ErrorEnvelope]) }),
  error: Type.Null(),
});
export type BatchResult = Static<typeof BatchResult>;

/** Results in the order asked; a failed item has its status and error envelope in `response`. */
export const BatchResponse = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(BatchResult) },
  { title: 'BatchResponse' },
);
export type BatchResponse = Static<typeof BatchResponse>;

/** One event of a streamed batch: a chunk of an item, or what it failed with. */
const BatchChunk = Type.Union(
  [CompletionChunk, ErrorEnvelope].map((event) => Type.Object({ custom_id: Type.String(), ...event.properties })),
  { title: 'BatchChunk' },
);

/** What a batch may be answered with. */
export const batchAnswers = {
  description: 'All results or, with `stream`, an event for each chunk and `[DONE]` at the end.',
  content: {
    'application/json': { schema: BatchResponse },
    'text/event-stream': { schema: BatchChunk },
  },
};
