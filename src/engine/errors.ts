/** Why the engine refuses or gives up a sequence. */
export type EngineErrorCode =
  /** Prefix, prompt and `maxTokens` do not fit the model's context. */
  | 'context_length_exceeded'
  /** The prompt is empty or has an id outside the vocabulary. */
  | 'invalid_prompt'
  /** A beam search is wider than the slots or the vocabulary allow, or without a token to generate. */
  | 'invalid_beams'
  /** A blend has no entries, more than there are slots, or a weight that is not finite. */
  | 'invalid_blend'
  /** Too many sequences or tokens are waiting; later there may be room. */
  | 'queue_full'
  /** The tenant fills its part of the queue; the server has room for others. */
  | 'tenant_queue_full'
  /** The engine drains and admits nothing. */
  | 'shutting_down'
  /** A forward pass failed; `cause` has the runner's error. Thrown by the iteration, never by `submit`. */
  | 'runner_failed';

/** An error of the engine. Its message holds counts and ids of the request, no content. */
export class EngineError extends Error {
  override readonly name = 'EngineError';

  constructor(
    readonly code: EngineErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
