import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';

/** Levels of objects and arrays in a JSON body. The deepest that a route takes is 5, token ids in a batch. */
export const MAX_JSON_DEPTH = 32;
/** Fields, objects and arrays in a JSON body: what parsing it costs, while nobody else is served. A bias for every token has 50,257. */
const MAX_JSON_PARTS = 65_536;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads JSON bodies: whole UTF-8, not nested too deep, of not too many parts, and without keys that would reach an object's prototype. */
export default fp(
  async (app) => {
    const parse = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
      // OpenAI's Python client announces JSON wherever it goes.
      if (body.length === 0 && request.routeOptions.schema?.body === undefined) {
        done(null);
        return;
      }
      try {
        refuseCostly(body);
        void parse(request, decode(body), done);
      } catch (error) {
        done(error as ApiError);
      }
    });
  },
  { name: 'json-body', fastify: '5.x' },
);

function decode(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch {
    throw new ApiError('invalid_json', 'The body is not valid UTF-8.');
  }
}

/** Looks at bytes: in UTF-8, a bracket or a quote is never a part of another character. */
function refuseCostly(body: Buffer): void {
  let [depth, parts] = [0, 0];
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      parts++;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x3a) parts++;
    if (depth > MAX_JSON_DEPTH) {
      throw new ApiError('invalid_json', `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`);
    }
    if (parts > MAX_JSON_PARTS) {
      throw new ApiError('invalid_json', `The body has more than ${MAX_JSON_PARTS} fields, objects and arrays.`);
    }
  }
}

/** Index of the quote that closes the string opened at `start`. */
function endOfString(body: Buffer, start: number): number {
  for (let at = body.indexOf(QUOTE, start + 1); at >= 0; at = body.indexOf(QUOTE, at + 1)) {
    let escapes = 0;
    while (body[at - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return body.length;
}
