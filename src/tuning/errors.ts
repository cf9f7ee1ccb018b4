/** Something about the data, the settings or the files of a run that its caller can put right; the message names it. */
export class TuningError extends Error {
  override readonly name = 'TuningError';
}
