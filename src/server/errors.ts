import { EngineError, type EngineErrorCode } from '../engine/errors.js';
import { PREFIX_ERRORS, PrefixError, type PrefixErrorCode, type PrefixErrorReason } from '../prefix/errors.js';
import type { ErrorEnvelope } from './schemas/error.js';

type OpenAIErrorType = 'invalid_request_error' | 'authentication_error' | 'server_error';

interface ErrorEntry {
  readonly status: number;
  readonly type: OpenAIErrorType;
  /** Seconds until the same request may succeed. */
  readonly retryAfter?: number;
  /** Told instead of the error's own message, which then only the log has. */
  readonly text?: string;
}

type ServerErrorCode =
  | 'invalid_value'
  | 'invalid_type'
  | 'missing_parameter'
  | 'unknown_parameter'
  | 'unsupported_parameter'
  | 'model_not_found'
  | 'route_not_found'
  | 'invalid_json'
  | 'invalid_multipart'
  | 'invalid_request'
  | 'request_too_large'
  | 'unsupported_media_type'
  | 'invalid_api_key'
  | 'client_closed_request'
  | 'generation_aborted'
  | 'server_not_ready'
  | 'server_draining'
  | 'internal_error';

/** Every `error.code` that an answer can have. */
export type ErrorCode = ServerErrorCode | EngineErrorCode | PrefixErrorCode;

const refused: ErrorEntry = { status: 400, type: 'invalid_request_error' };
const missing: ErrorEntry = { status: 404, type: 'invalid_request_error' };
const tooLarge: ErrorEntry = { status: 413, type: 'invalid_request_error' };
const failed: ErrorEntry = { status: 500, type: 'server_error', text: 'The server failed. Its log has the details.' };
const busy = (text: string): ErrorEntry => ({ status: 503, type: 'server_error', retryAfter: 1, text });

const prefixErrors: Readonly<Record<PrefixErrorReason, ErrorEntry>> = {
  invalid: refused,
  too_large: tooLarge,
  not_found: missing,
  damaged: failed,
};

/** The one table from code to status, OpenAI type and, where it is fixed, text. */
const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = {
  invalid_value: refused,
  invalid_type: refused,
  missing_parameter: refused,
  unknown_parameter: refused,
  unsupported_parameter: refused,
  invalid_json: refused,
  invalid_multipart: refused,
  invalid_request: refused,
  model_not_found: missing,
  route_not_found: missing,
  request_too_large: tooLarge,
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  invalid_api_key: { status: 401, type: 'authentication_error' },
  client_closed_request: { status: 499, type: 'invalid_request_error' },
  generation_aborted: busy('The server gave this request up before it was finished.'),
  server_draining: busy('The server is shutting down.'),
  server_not_ready: busy('The model fails at present.'),
  context_length_exceeded: refused,
  invalid_prompt: refused,
  queue_full: busy('The server is full: too much is waiting already.'),
  shutting_down: busy('The server is shutting down.'),
  runner_failed: failed,
  internal_error: failed,
  ...fromPrefixErrors(),
};

function fromPrefixErrors(): Record<PrefixErrorCode, ErrorEntry> {
  const entries = Object.entries(PREFIX_ERRORS).map(([code, { reason }]) => [code, prefixErrors[reason]]);
  return Object.fromEntries(entries) as Record<PrefixErrorCode, ErrorEntry>;
}

/** What fastify and its plugins throw, in our words: theirs may quote the request. */
const frameworkErrors: Readonly<Record<string, readonly [ServerErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'The body is empty.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['request_too_large', 'The body is larger than this server accepts.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', `This route does not accept the body's content type.`],
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not a valid URL.'],
  FST_ERR_MAX_PARAM_LENGTH: ['route_not_found', 'No such route.'],
  FST_REQ_FILE_TOO_LARGE: ['request_too_large', 'A file is larger than this server accepts.'],
  FST_PARTS_LIMIT: ['invalid_multipart', 'The form has too many parts.'],
  FST_FILES_LIMIT: ['invalid_multipart', 'The form has too many files.'],
  FST_FIELDS_LIMIT: ['invalid_multipart', 'The form has too many fields.'],
};

export interface ApiErrorOptions extends ErrorOptions {
  /** The field of the request that is at fault. */
  readonly param?: string | undefined;
}

/** An error that a client is told about, with its place in OpenAI's error envelope. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly param: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    { param, ...options }: ApiErrorOptions = {},
  ) {
    super(message, options);
    this.param = param;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  /** Seconds for the `retry-after` header. */
  get retryAfter(): number | undefined {
    return errorTable[this.code].retryAfter;
  }

  /** The body of the answer. The text of a failure of ours is fixed. */
  toEnvelope(): ErrorEnvelope {
    const { type, text } = errorTable[this.code];
    return { error: { message: text ?? this.message, type, param: this.param ?? null, code: this.code } };
  }
}

/** Whatever was thrown, as an answer; `cause` keeps the original for the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof EngineError) return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof PrefixError)
    return new ApiError(error.code, error.message, { param: error.param, cause: error });
  if (!(error instanceof Error)) return new ApiError('internal_error', 'Something that is no error was thrown.');
  if (error.name === 'AbortError') return new ApiError('client_closed_request', 'The client went away.');
  return fromFramework(error);
}

function fromFramework(error: Error & { code?: unknown; statusCode?: unknown }): ApiError {
  const known = frameworkErrors[String(error.code)];
  if (known) return new ApiError(known[0], known[1]);
  const status = Number(error.statusCode);
  if (status >= 400 && status < 500) return new ApiError('invalid_request', 'The request cannot be read.');
  return new ApiError('internal_error', error.message, { cause: error });
}
