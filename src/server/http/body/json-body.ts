import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';

/**
 * Deepest nesting of objects and arrays in a JSON body. Routes need at most 5 levels, for token ids in many requests.
 */
const MAX_JSON_DEPTH = 32;
/**
 * Most fields, objects and arrays in a JSON body. They determine how long parsing blocks the event loop. (A
 * `logit_bias` for every token has 50,257 fields.)
 */
const MAX_JSON_PARTS = 65_536;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses JSON bodies. Refuses invalid UTF-8, deep nesting, too many parts, and keys that would reach an object's
 * prototype.
 */
export default fp(
  async (app) => {
    const parse = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
      // OpenAI's Python client sends a JSON content type even without a body.
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

/**
 * Checks nesting and number of parts on the bytes: in UTF-8, the byte of a bracket or quote is never part of another
 * character.
 */
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
