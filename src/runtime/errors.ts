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
