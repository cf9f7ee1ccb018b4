import { BatchError, type BatchErrorCode } from '../batches/errors.js';
import { CompletionError, RateLimitError, type CompletionErrorCode } from '../completions/errors.js';
import { EngineError, type EngineErrorCode } from '../engine/errors.js';
import { FileError, type FileErrorCode } from '../files/errors.js';
import { FineTuningError, type FineTuningErrorCode } from '../fine-tuning/errors.js';
import { JobError, type JobErrorCode } from '../jobs/errors.js';
import { StoreError, type StoreErrorCode } from '../lib/store-error.js';
import { PREFIX_ERRORS, PrefixError, type PrefixErrorCode, type PrefixErrorReason } from '../prefix/errors.js';
import { TenancyError, type TenancyErrorCode } from '../tenancy/errors.js';
import { rateLimitHeaders, retryHeaders } from './http/rate-limit-headers.js';
import type { ErrorEnvelope } from './schema/error.js';

/** OpenAI's `error.type`; `requests` and `tokens` name the rate limit that was reached. */
type OpenAIErrorType =
  'invalid_request_error' | 'authentication_error' | 'rate_limit_error' | 'server_error' | 'requests' | 'tokens';

interface ErrorEntry {
  readonly status: number;
  readonly type: OpenAIErrorType;
  /** Time until the same request may succeed. */
  readonly retryAfterSeconds?: number;
  /** Message of the answer; the error's own message is then only in the log. */
  readonly text?: string;
}

type ServerErrorCode =
  | 'invalid_value'
  | 'invalid_type'
  | 'missing_parameter'
  | 'unknown_parameter'
  | 'route_not_found'
  /** Something that OpenAI's API can do with a thing, and this server cannot. */
  | 'unsupported_operation'
  /** The path has a route, but for other methods, which the header `allow` names. */
  | 'method_not_allowed'
  | 'invalid_json'
  | 'invalid_multipart'
  | 'invalid_request'
  | 'request_too_large'
  | 'headers_too_large'
  | 'request_timeout'
  | 'unsupported_media_type'
  | 'invalid_api_key'
  /** Without keys: the request is for a host that is not this machine (`host-check`). */
  | 'host_not_allowed'
  /** Without keys: a web page of another origin asks for a write (`origin-check`). */
  | 'origin_not_allowed'
  /** As many clients as may already follow the engine's events. */
  | 'too_many_listeners'
  | 'client_closed_request'
  | 'server_not_ready'
  | 'server_draining'
  | 'internal_error';

/** All values of `error.code` in answers. */
export type ErrorCode =
  | ServerErrorCode
  | CompletionErrorCode
  | EngineErrorCode
  | PrefixErrorCode
  | TenancyErrorCode
  | FileErrorCode
  | JobErrorCode
  | FineTuningErrorCode
  | BatchErrorCode
  | StoreErrorCode;

/** Most characters of an error's message, and of its `param`. */
const MAX_TEXT = 1000;

const refused: ErrorEntry = { status: 400, type: 'invalid_request_error' };
const missing: ErrorEntry = { status: 404, type: 'invalid_request_error' };
const forbidden: ErrorEntry = { status: 403, type: 'invalid_request_error' };
const conflict: ErrorEntry = { status: 409, type: 'invalid_request_error' };
const tooLarge: ErrorEntry = { status: 413, type: 'invalid_request_error' };
const failed: ErrorEntry = { status: 500, type: 'server_error', text: 'The server failed. Its log has the details.' };
/** An entry for a 503. @param text fixed message; undefined if the error's own message is fixed */
const busy = (text?: string): ErrorEntry => ({
  status: 503,
  type: 'server_error',
  retryAfterSeconds: 1,
  ...(text !== undefined && { text }),
});

/** An entry for what the store has not kept as it was written. */
const damaged = (text: string): ErrorEntry => ({ ...failed, text });

const prefixErrors: Readonly<Record<PrefixErrorReason, ErrorEntry>> = {
  invalid: refused,
  too_large: tooLarge,
  not_found: missing,
  conflict,
  quota: forbidden,
  damaged: damaged('This prefix is damaged in the store. Uploading it again repairs it.'),
};

/** Entries without a text, because a `StoreError` has a fixed message that names the store and the reason. */
const storeErrors: Readonly<Record<StoreErrorCode, ErrorEntry>> = {
  store_unavailable: busy(),
  store_full: busy(),
  store_read_only: busy(),
  store_redirected: { status: 500, type: 'server_error' },
};

/** The table from code to status, OpenAI type and, for some, a fixed text. */
const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = {
  invalid_value: refused,
  invalid_type: refused,
  missing_parameter: refused,
  unknown_parameter: refused,
  unsupported_parameter: refused,
  chat_unsupported: refused,
  unsupported_operation: refused,
  invalid_json: refused,
  invalid_multipart: refused,
  invalid_request: refused,
  model_not_found: missing,
  route_not_found: missing,
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  request_too_large: tooLarge,
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  invalid_api_key: { status: 401, type: 'authentication_error' },
  host_not_allowed: forbidden,
  origin_not_allowed: forbidden,
  rate_limit_exceeded: { status: 429, type: 'requests' },
  tenant_not_found: missing,
  key_not_found: missing,
  tenant_static: conflict,
  key_static: conflict,
  file_not_found: missing,
  file_quota_exceeded: forbidden,
  file_damaged: damaged('This file is damaged in the store. Upload it again.'),
  job_damaged: damaged('This job is damaged in the store.'),
  job_not_found: missing,
  job_finished: conflict,
  too_many_jobs: { status: 429, type: 'rate_limit_error' },
  fine_tuning_off: { status: 501, type: 'invalid_request_error' },
  batches_off: { status: 501, type: 'invalid_request_error' },
  too_many_listeners: { status: 429, type: 'rate_limit_error' },
  client_closed_request: { status: 499, type: 'invalid_request_error' },
  generation_aborted: busy('The server gave this request up before it was finished.'),
  server_draining: busy('The server is shutting down.'),
  server_not_ready: busy('The model fails at present.'),
  context_length_exceeded: refused,
  invalid_prompt: refused,
  invalid_beams: refused,
  invalid_blend: refused,
  queue_full: busy('The server is full: too much is waiting already.'),
  tenant_queue_full: { status: 429, type: 'rate_limit_error', retryAfterSeconds: 1 },
  shutting_down: busy('The server is shutting down.'),
  runner_failed: failed,
  internal_error: failed,
  ...fromPrefixErrors(),
  ...storeErrors,
};

function fromPrefixErrors(): Record<PrefixErrorCode, ErrorEntry> {
  const entries = Object.entries(PREFIX_ERRORS).map(([code, { reason }]) => [code, prefixErrors[reason]]);
  return Object.fromEntries(entries) as Record<PrefixErrorCode, ErrorEntry>;
}

/** Errors of fastify, its plugins and Node's streams, in our words: theirs may quote the request. */
const frameworkErrors: Readonly<Record<string, readonly [ServerErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'The body is empty.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['request_too_large', 'The body is larger than this server accepts.'],
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not a valid URL.'],
  FST_ERR_MAX_PARAM_LENGTH: ['route_not_found', 'No such route.'],
  ERR_STREAM_PREMATURE_CLOSE: ['client_closed_request', 'The client went away.'],
  FST_REQ_FILE_TOO_LARGE: ['request_too_large', 'A file is larger than this server accepts.'],
  FST_PARTS_LIMIT: ['invalid_multipart', 'The form has too many parts.'],
  FST_FILES_LIMIT: ['invalid_multipart', 'The form has too many files.'],
  FST_FIELDS_LIMIT: ['invalid_multipart', 'The form has too many fields.'],
};

export interface ApiErrorOptions extends ErrorOptions {
  /** The field of the request that is at fault. */
  readonly param?: string | undefined;
  /** Type instead of the one in the table. */
  readonly type?: OpenAIErrorType | undefined;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** An error as clients see it, in OpenAI's error envelope. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly param: string | undefined;
  readonly #type: OpenAIErrorType | undefined;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    message: string,
    { param, type, headers = {}, ...options }: ApiErrorOptions = {},
  ) {
    super(message, options);
    this.param = param;
    this.#type = type;
    this.#headers = headers;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  /** Headers of the answer: `retry-after` where it helps, and those of the error. */
  get headers(): Readonly<Record<string, string>> {
    const { retryAfterSeconds } = errorTable[this.code];
    return { ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }), ...this.#headers };
  }

  /** The body of the answer. The text of a server's failure is fixed. */
  toEnvelope(): ErrorEnvelope {
    const { type, text } = errorTable[this.code];
    const message = text ?? clip(this.message);
    return { error: { message, type: this.#type ?? type, param: clip(this.param ?? null), code: this.code } };
  }
}

/** Cuts a text to `MAX_TEXT` characters, because a refused name may be as long as a body. */
function clip<T extends string | null>(text: T): T | string {
  return text !== null && text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
}

/** Converts anything that was thrown to an `ApiError`, whose `cause` keeps the original for the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof CompletionError) return fromCompletionError(error);
  if (error instanceof EngineError) return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof PrefixError)
    return new ApiError(error.code, error.message, { param: error.param, cause: error });
  if (error instanceof TenancyError || error instanceof StoreError)
    return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof FineTuningError || error instanceof BatchError)
    return new ApiError(error.code, error.message, { cause: error });
  if (error instanceof FileError || error instanceof JobError)
    return new ApiError(error.code, error.message, { param: error.param, cause: error });
  if (!(error instanceof Error)) return new ApiError('internal_error', 'Something that is no error was thrown.');
  if (error.name === 'AbortError') return new ApiError('client_closed_request', 'The client went away.');
  return fromFramework(error);
}

/** Converts a completion's error. The log gets its cause, if any, because the error only repeats it in the request's terms. */
function fromCompletionError(error: CompletionError): ApiError {
  const { code, message, param, cause = error } = error;
  if (!(error instanceof RateLimitError)) {
    const headers = error.neverPasses ? retryHeaders(undefined) : undefined;
    return new ApiError(code, message, { param, headers, cause });
  }
  const headers = { ...rateLimitHeaders(error.admission), ...retryHeaders(error.retryAfterMs) };
  return new ApiError(code, message, { type: error.by, headers, cause });
}

function fromFramework(error: Error & { code?: unknown; statusCode?: unknown }): ApiError {
  const known = frameworkErrors[String(error.code)];
  if (known) return new ApiError(known[0], known[1]);
  const status = Number(error.statusCode);
  if (status >= 400 && status < 500) return new ApiError('invalid_request', 'The request cannot be read.');
  return new ApiError('internal_error', error.message, { cause: error });
}
