/** Errors of this program whose messages contain only ids, counts and fixed words. */
const ownErrors: ReadonlySet<string> = new Set([
  'ApiError',
  'EngineError',
  'PrefixError',
  'StoreError',
  'OnnxRuntimeError',
  'FileError',
  'FineTuningError',
  'BatchError',
  'BatchFileError',
  'JobError',
  'TrainingCrashedError',
  'TrainingDiskError',
]);

/** The part of an error that may be logged. */
export interface LoggedError {
  readonly type: string;
  readonly message?: string;
  /** System error code, for example `ENOSPC`. */
  readonly code?: string;
  /** Stack frames, without the message. */
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/**
 * Reduces an error to the part that may be logged: its type, code and stack. Messages and fields of foreign errors
 * are left out because they quote user data: a parser quotes the text, the file system a path with a prefix's name, a
 * store's client its command.
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

/** The frames of a stack, without the message that the stack begins with (one line or many). */
function frames(stack: string, message: string): string {
  const lines = stack.split('\n').slice(message.split('\n').length);
  return lines.map((line) => line.trim()).join('\n');
}
