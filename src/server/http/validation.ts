import type { FastifyServerOptions } from 'fastify';

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

/** The part of a validator's error that is used. */
export interface ValidationError {
  readonly keyword: string;
  /** JSON pointer of the value. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string | undefined;
  readonly parentSchema?: object | undefined;
}

/** The error answer for a failed validation, with the field's name in `param`. */
export function toValidationError(errors: readonly ValidationError[]): ApiError {
  // The errors of a union's branches come before the union's own; an outer union comes after an inner one.
  const error = errors.findLast(({ keyword }) => keyword === 'anyOf') ?? errors[0];
  if (!error) return new ApiError('invalid_request', 'The request is not valid.');
  const at = pathOf(error.instancePath);
  if (error.keyword === 'additionalProperties') return unknownField(join(at, error.params['additionalProperty']));
  if (error.keyword === 'required') return missingField(join(at, error.params['missingProperty']));
  return invalidField(error, at.replace(/(\[\d+\])+$/, ''));
}

function unknownField(param: string): ApiError {
  return new ApiError('unknown_parameter', `Unknown field '${param}'.`, { param });
}

function missingField(param: string): ApiError {
  return new ApiError('missing_parameter', `'${param}' is required.`, { param });
}

/** A trailing index is not part of `at`: the array is the field. */
function invalidField(error: ValidationError, at: string): ApiError {
  const code = error.keyword === 'type' ? 'invalid_type' : 'invalid_value';
  return new ApiError(code, `${at ? `'${at}'` : 'The body'} ${wanted(error)}.`, { param: at || undefined });
}

function wanted({ keyword, message, params, parentSchema }: ValidationError): string {
  if (keyword === 'isFile') return 'must be a file';
  if (keyword === 'enum') return `must be one of ${String(params['allowedValues']).replaceAll(',', ', ')}`;
  if (keyword === 'type') return `must be ${String(params['type']).replace(',null', ' or null')}`;
  const named = (keyword === 'anyOf' || keyword === 'pattern') && parentSchema && 'title' in parentSchema;
  return named ? `must be ${String(parentSchema.title)}` : (message ?? 'is not valid');
}

/** Turns a JSON pointer into a path: `/requests/3/custom_id` becomes `requests[3].custom_id`. */
function pathOf(instancePath: string): string {
  const segments = instancePath.split('/').slice(1);
  return segments.reduce((path, segment) => (/^\d+$/.test(segment) ? `${path}[${segment}]` : join(path, segment)), '');
}

function join(path: string, property: unknown): string {
  return path ? `${path}.${String(property)}` : String(property);
}
