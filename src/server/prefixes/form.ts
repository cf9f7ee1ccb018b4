import type { FastifyRequest } from 'fastify';

import { ApiError, toApiError } from '../errors.js';

/**
 * Reads a multipart body into memory, within the limits that the plugin was given: text fields are strings, files are buffers.
 * @throws ApiError when the form is broken, too large or has a field twice
 */
export async function readForm(request: FastifyRequest): Promise<Record<string, unknown>> {
  const fields: [string, unknown][] = [];
  try {
    for await (const part of request.parts()) {
      fields.push([part.fieldname, part.type === 'file' ? await part.toBuffer() : part.value]);
    }
  } catch (thrown) {
    const error = toApiError(thrown);
    // What the parser throws at a broken form has no code.
    if (error.code !== 'internal_error') throw error;
    throw new ApiError('invalid_multipart', 'The form cannot be read.', { cause: thrown });
  }
  refuseTwice(fields.map(([name]) => name));
  return Object.fromEntries(fields);
}

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return;
  throw new ApiError('invalid_multipart', `'${twice}' is given twice.`, { param: twice });
}
