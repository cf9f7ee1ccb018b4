/** Problem with a field of a study's spec, or with several; the message names them by their paths. */
export class SpecError extends Error {
  override readonly name = 'SpecError';
}
