import type { Writable } from 'node:stream';

import { destination, type LoggerOptions } from 'pino';

import { loggedError } from './logged-error.js';

/** Destination of log lines. */
export type LogStream = Pick<Writable, 'write'>;

/**
 * Options for pino. Lines hold ids, counts and times. Requests and answers are never serialized, so no prompt, text,
 * token, key or prefix name reaches the log through them.
 * @param stream destination of the lines; standard error unless given
 */
export function loggerOptions(level: string, stream?: LogStream): LoggerOptions & { stream: LogStream } {
  return {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { req: () => undefined, res: () => undefined, err: loggedError },
    // Without an explicit message, pino would log the error's message.
    hooks: {
      logMethod(args, method) {
        const [first, message = 'error'] = args as [unknown, string?];
        if (first instanceof Error) method.call(this, { err: first }, message);
        else method.apply(this, args);
      },
    },
    // At level `trace` the multipart parser logs the request's headers.
    redact: { paths: ['busboyOptions'], remove: true },
    stream: stream ?? standardError(),
  };
}

/** Characters of lines that wait for a log that cannot be written, because its disk is full. Later ones are lost. */
const MAX_WAITING = 2 ** 20;

function standardError(): LogStream {
  return destination({ dest: 2, minLength: 0, maxLength: MAX_WAITING }).on('error', () => undefined);
}
