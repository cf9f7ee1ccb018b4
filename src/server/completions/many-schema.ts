import { Type, type Static } from 'typebox';

import { CompletionChunk, CompletionResponse } from '../../completions/answer/schema.js';
import { optional } from '../../lib/schema/optional.js';
import { ErrorEnvelope } from '../schema/error.js';

/** One of many requests. All but its name may be anything here: what is bad is refused alone, by `startMany`. */
const ManyItem = Type.Object(
  {
    custom_id: Type.String({ minLength: 1, maxLength: 256 }),
    method: Type.Optional(Type.Unknown({ description: 'POST, as a line of an OpenAI batch has it.' })),
    url: Type.Optional(Type.Unknown({ description: '/v1/completions, as a line of an OpenAI batch has it.' })),
    body: Type.Optional(Type.Unknown({ description: 'A completion request; required.' })),
  },
  { additionalProperties: false },
);

/** The body of `POST /v1/batch/completions`. */
export const ManyRequest = Type.Object(
  { requests: Type.Array(ManyItem, { minItems: 1 }), stream: optional(Type.Boolean({ default: false })) },
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
export type ManyRequest = Static<typeof ManyRequest>;

const ManyResult = Type.Object({
  custom_id: Type.String(),
  response: Type.Object({ status_code: Type.Integer(), body: Type.Union([CompletionResponse, ErrorEnvelope]) }),
  error: Type.Null(),
});
export type ManyResult = Static<typeof ManyResult>;

/** Results in the order asked; a failed item has its status and error envelope in `response`. */
export const ManyResponse = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(ManyResult) },
  { title: 'BatchResponse' },
);
export type ManyResponse = Static<typeof ManyResponse>;

/** One event of a stream: a chunk of one item, or its error. */
const ManyChunk = Type.Union(
  [CompletionChunk, ErrorEnvelope].map((event) => Type.Object({ custom_id: Type.String(), ...event.properties })),
  { title: 'BatchChunk' },
);

/** The answers to many completion requests. */
export const manyAnswers = {
  description: 'All results or, with `stream`, an event for each chunk and `[DONE]` at the end.',
  content: {
    'application/json': { schema: ManyResponse },
    'text/event-stream': { schema: ManyChunk },
  },
};
