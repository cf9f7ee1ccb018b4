/** ONNX Runtime refused or failed: `message` is its own, `call` the C function that said it. */
export class OnnxRuntimeError extends Error {
  override readonly name = 'OnnxRuntimeError';

  constructor(
    readonly call: string,
    message: string,
  ) {
    super(`${call}: ${message}`);
  }
}

/** An execution provider is not to be had on this machine; `message` says what is missing, and how ONNX Runtime put it. */
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
