/** An error from ONNX Runtime: `message` is its text, `call` the C function that failed. */
export class OnnxRuntimeError extends Error {
  override readonly name = 'OnnxRuntimeError';

  constructor(
    readonly call: string,
    message: string,
  ) {
    super(`${call}: ${message}`);
  }
}

/** An execution provider that does not work on this machine. `message` says what is missing and quotes ONNX Runtime. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';

  constructor(
    readonly provider: string,
    reasons: readonly (string | undefined)[],
  ) {
    const known = reasons.filter((reason) => reason !== undefined);
    super([`provider ${provider} is not available here.`, ...known].join(' '));
  }
}
