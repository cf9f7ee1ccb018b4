/** The part of a request to open a model that is at fault: the model's files, or the precision asked for its weights. */
export type CheckpointSubject = 'source' | 'weights';

/** A checkpoint that cannot be served as asked; the message names the file and the field. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';

  constructor(
    message: string,
    readonly subject: CheckpointSubject = 'source',
  ) {
    super(message);
  }
}
