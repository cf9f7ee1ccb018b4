import type { Writable } from 'node:stream';

import { destination, type LoggerOptions } from 'pino';

import { loggedError } from './logged-error.js';

/** Where log lines go. */
export type LogStream = Pick<Writable, 'write'>;

/**
 * Pino's options. Lines hold ids, counts and times: requests and answers are not serialized at all, so no prompt, text, token,
 * key or prefix name can get in by them.
 */
export function loggerOptions(level: string, stream?: LogStream): LoggerOptions & { stream: LogStream } {
  return {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { req: () => undefined, res: () => undefined, err: loggedError },
    // Without a message of its own, a line would have the error's.
    hooks: {
      logMethod(args, method) {
        const [first, message = 'error'] = args as [unknown, string?];
        if (first instanceof Error) method.call(this, { err: first }, message);
        else method.apply(this, args);
      },
    },
    // At level `trace` the multipart parser logs the request's headers.
    redact: { paths: ['busboyOptions'], remove: true },
    stream: stream ?? destination(2),
  };
}
