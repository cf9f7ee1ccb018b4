import fp from 'fastify-plugin';

import { ApiError } from '../errors.js';

/** Levels of objects and arrays in a JSON body. The deepest that a route takes is 5, token ids in a batch. */
export const MAX_JSON_DEPTH = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads JSON bodies: whole UTF-8, not nested too deep, and without keys that would reach an object's prototype. */
export default fp(
  async (app) => {
    const parse = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
      // OpenAI's Python client announces JSON wherever it goes.
      if (body.length === 0 && request.method === 'DELETE') {
        done(null);
        return;
      }
      try {
        refuseDeep(body);
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
function refuseDeep(body: Buffer): void {
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === 0x5b || byte === 0x7b) depth++;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    if (depth > MAX_JSON_DEPTH) {
      throw new ApiError('invalid_json', `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`);
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
