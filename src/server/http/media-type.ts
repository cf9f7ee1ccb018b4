import type { FastifyRequest } from 'fastify';

import { isObject } from '../../lib/is-object.js';
import { ApiError } from '../errors.js';

/** The refusal of a body of another type than the request's route takes, which it names. */
export function refuseMediaType({ routeOptions }: Pick<FastifyRequest, 'routeOptions'>): ApiError {
  const types = typesOf(routeOptions.schema?.body);
  const message =
    types.length === 0
      ? `This route takes no body: send none, and leave out the header 'content-type'.`
      : `The body must be ${types.join(' or ')}: say so in the header 'content-type'.`;
  return new ApiError('unsupported_media_type', message);
}

/** @param body a route's schema of its body, or those of each type */
function typesOf(body: unknown): string[] {
  if (!isObject(body)) return [];
  return 'content' in body && isObject(body.content) ? Object.keys(body.content) : ['application/json'];
}
