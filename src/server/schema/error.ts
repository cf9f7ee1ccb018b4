import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';

/** OpenAI's error envelope. */
export const ErrorEnvelope = Type.Object(
  {
    error: Type.Object({
      message: Type.String(),
      type: Type.String(),
      param: nullable(Type.String()),
      code: nullable(Type.String()),
    }),
  },
  { title: 'Error' },
);
export type ErrorEnvelope = Static<typeof ErrorEnvelope>;

const json = { 'application/json': { schema: ErrorEnvelope } };

/** Error answers that any route may give. */
export const errorResponses = {
  '4xx': { description: 'The request is refused; `error.param` names the field.', content: json },
  '5xx': { description: 'The server failed or is full; `retry-after` says when to try again.', content: json },
};
