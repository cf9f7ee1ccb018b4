import type { PrefixErrorCode } from '../prefix/errors.js';
import { formatDuration } from '../lib/format-duration.js';
import type { Violation } from '../lib/schema/violation.js';
import type { Admission, Refusal } from '../tenancy/rate-limiter.js';

/** Why a completion is refused or given up, beside the codes of `EngineError`. */
export type CompletionErrorCode =
  | Violation['code']
  | 'unsupported_parameter'
  | 'model_not_found'
  /** The model has no chat template. */
  | 'chat_unsupported'
  /** Prefix, prompt and tokens to generate do not fit the model's context. */
  | 'context_length_exceeded'
  | 'rate_limit_exceeded'
  /** The engine gave a sequence up before it was finished. */
  | 'generation_aborted'
  /** The prefix that `model` names cannot be used. */
  | PrefixErrorCode;

export interface CompletionErrorOptions extends ErrorOptions {
  /** Whether the same request is refused however often it is sent, although its values are valid; false unless given. */
  readonly neverPasses?: boolean;
  /** The field of the request that is at fault. */
  readonly param?: string | undefined;
}

/** A completion that is refused or given up. The message is for the client; it may quote field names and a `model`, no prompt. */
export class CompletionError extends Error {
  override readonly name: string = 'CompletionError';
  readonly param: string | undefined;
  readonly neverPasses: boolean;

  constructor(
    readonly code: CompletionErrorCode,
    message: string,
    { param, neverPasses = false, ...options }: CompletionErrorOptions = {},
  ) {
    super(message, options);
    this.param = param;
    this.neverPasses = neverPasses;
  }
}

/** The refusal of a value of one field. */
export function invalidValue(
  param: string,
  message: string,
  options?: Omit<CompletionErrorOptions, 'param'>,
): CompletionError {
  return new CompletionError('invalid_value', message, { param, ...options });
}

/** The refusal of a field with a text, of a model that reads none. */
export function textUnsupported(param: string, problem: string): CompletionError {
  return new CompletionError('text_unsupported', `'${param}' cannot be text: ${problem}.`, { param });
}

/** A completion that one of its tenant's rate limits refuses. */
export class RateLimitError extends CompletionError {
  override readonly name = 'RateLimitError';
  /** The limit that was reached. */
  readonly by: Refusal['by'];
  /** Undefined: the request is larger than the limit and never passes. */
  readonly retryAfterMs: number | undefined;

  /**
   * @param admission the state of the tenant's limits, which the refused request has not changed
   * @param tokens that the request asked for
   */
  constructor(
    readonly admission: Admission,
    { by, retryAfterMs }: Refusal,
    tokens: number,
  ) {
    const reached = `Rate limit reached: ${admission[by]?.limit ?? 0} ${by} a minute.`;
    const asked = by === 'tokens' ? ` This request asks for ${tokens}, prompt and 'max_tokens' together.` : '';
    const never =
      by === 'tokens' ? `It can never pass: send a smaller 'max_tokens', or less of a prompt.` : 'It can never pass.';
    const advice = retryAfterMs === undefined ? never : `Try again in ${formatDuration(retryAfterMs)}.`;
    super('rate_limit_exceeded', `${reached}${asked} ${advice}`);
    this.by = by;
    this.retryAfterMs = retryAfterMs;
  }
}
