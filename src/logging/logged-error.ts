/** Errors of ours whose messages are written from ids, counts and fixed words. */
const ownErrors: ReadonlySet<string> = new Set([
  'ApiError',
  'EngineError',
  'PrefixError',
  'OnnxRuntimeError',
  'FineTuningError',
  'TrainingCrashedError',
]);

/** What of an error goes into the log. */
export interface LoggedError {
  readonly type: string;
  readonly message?: string;
  /** Such as `ENOSPC`. */
  readonly code?: string;
  /** Where it was thrown, without its message. */
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/**
 * An error as the log may have it: where it happened and what kind it is. The messages and fields of other people's errors stay
 * out, because they quote: a parser the text, the file system a path with a prefix's name in it, a store's client its command.
 */
export function loggedError(thrown: unknown): LoggedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  const { name, message, stack, cause } = thrown;
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  return {
    type: name,
    ...(ownErrors.has(name) && { message }),
    ...(code !== undefined && { code }),
    ...(stack !== undefined && { stack: frames(stack, message) }),
    ...(cause !== undefined && { cause: loggedError(cause) }),
  };
}

/** A stack begins with the message, however many lines that has. */
function frames(stack: string, message: string): string {
  const lines = stack.split('\n').slice(message.split('\n').length);
  return lines.map((line) => line.trim()).join('\n');
}
