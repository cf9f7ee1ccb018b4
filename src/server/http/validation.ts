import type { FastifyServerOptions } from 'fastify';

import { describeViolation, type SchemaError } from '../../lib/schema/violation.js';
import { ApiError } from '../errors.js';

/** Ajv's options: refuse invalid requests, never repair them. */
export const ajvOptions: NonNullable<FastifyServerOptions['ajv']> = {
  customOptions: {
    removeAdditional: false,
    coerceTypes: false,
    useDefaults: false,
    allErrors: false,
    allowUnionTypes: true,
    // Errors carry their schema: its title describes the wanted value where a keyword's message cannot.
    verbose: true,
    keywords: [{ keyword: 'isFile', validate: (_: unknown, data: unknown) => Buffer.isBuffer(data) }],
  },
};

/** The error answer for a failed validation, with the field's name in `param`. */
export function toValidationError(errors: readonly SchemaError[]): ApiError {
  // The errors of a union's branches come before the union's own; an outer union comes after an inner one.
  const error = errors.findLast(({ keyword }) => keyword === 'anyOf') ?? errors[0];
  if (!error) return new ApiError('invalid_request', 'The request is not valid.');
  const { code, message, param } = describeViolation(error);
  return new ApiError(code, message, { param });
}
