import { setImmediate } from 'node:timers/promises';

import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

import { isObject } from '../../../lib/is-object.js';
import { costOfJson } from '../../../lib/json-cost.js';
import { ApiError } from '../../errors.js';

/** Bytes of a body that is scanned, parsed and handled in one turn of the event loop. Others take a turn for each. */
const ONE_TURN_BYTES = 2 ** 16;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses JSON bodies. Refuses invalid UTF-8, what would take long to parse, and keys that would reach an object's prototype. */
export default fp(
  async (app) => {
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      async (request: FastifyRequest, body: Buffer) => {
        const yieldTurn = async (): Promise<void> => {
          if (body.length > ONE_TURN_BYTES) await setImmediate();
        };
        // OpenAI's Python client sends a JSON content type even without a body.
        if (body.length === 0 && request.routeOptions.schema?.body === undefined) return undefined;
        await yieldTurn();
        const cost = costOfJson(body);
        if (cost !== undefined) throw new ApiError('invalid_json', `The body ${cost}.`);
        await yieldTurn();
        const text = decode(body);
        const value = parse(text);
        await yieldTurn();
        if (/__proto__|constructor|\\u/.test(text) && isObject(value)) refusePrototypes(value, []);
        await yieldTurn();
        return value;
      },
    );
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

function parse(text: string): unknown {
  if (text === '') throw new ApiError('invalid_json', 'The body is empty.');
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('invalid_json', 'The body is not valid JSON.');
  }
}

/**
 * Refuses keys that would reach an object's prototype, where a copy is made carelessly. (fastify's own parser, secure-json-parse 4.1.1,
 * visits every number of an array: 0.2 s for a million.)
 */
function refusePrototypes(value: object, path: readonly string[]): void {
  if (Array.isArray(value)) {
    value.forEach((one: unknown, i) => {
      if (isObject(one)) refusePrototypes(one, [...path, String(i)]);
    });
  } else {
    const maker: unknown = Object.getOwnPropertyDescriptor(value, 'constructor')?.value;
    if (Object.hasOwn(value, '__proto__')) throw prototypeKey([...path, '__proto__']);
    if (isObject(maker) && Object.hasOwn(maker, 'prototype')) throw prototypeKey([...path, 'constructor', 'prototype']);
    for (const [name, one] of Object.entries(value)) if (isObject(one)) refusePrototypes(one, [...path, name]);
  }
}

function prototypeKey(path: readonly string[]): ApiError {
  const param = path.join('.').replace(/\.(\d+)(?=\.)/g, '[$1]');
  const message = `The field '${param}' is refused: in JavaScript, a key of this name can change what all objects have.`;
  return new ApiError('unknown_parameter', message, { param });
}
