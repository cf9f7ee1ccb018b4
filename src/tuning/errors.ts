/** Input of a run that its caller can change: a file, a directory, or a setting of `TuneSettings`. */
export type TuningSubject =
  /** Training data. */
  | 'train'
  /** Validation data. */
  | 'valid'
  /** Data that is measured on. */
  | 'data'
  | 'model'
  /** Directory of the adapter to go on from, or to measure. */
  | 'adapter'
  /** Directory that the run writes to. */
  | 'out'
  | 'init'
  | 'method'
  | 'sites'
  | 'length'
  | 'mlp'
  | 'tooLong'
  | 'learningRate'
  | 'patience';

/** Subjects that are examples. */
export type DataSubject = Extract<TuningSubject, 'train' | 'valid' | 'data'>;

export interface TuningErrorOptions extends ErrorOptions {
  /** Place in a file, or the file: more precise than the subject, and said instead of it. */
  readonly where?: string | undefined;
  readonly remedy?: Remedy | undefined;
}

/** A setting that lets a run go on in spite of the problem. */
export interface Remedy {
  readonly subject: TuningSubject;
  /** What it may be; said behind its name. */
  readonly text: string;
}

/**
 * Problem with the data, the settings or the files of a run that its caller can put right. Whoever shows it names the subject by
 * an option of the command line, a field of a request or a field of a spec.
 */
export class TuningError extends Error {
  override readonly name: string = 'TuningError';
  readonly where: string | undefined;
  readonly remedy: Remedy | undefined;

  constructor(
    readonly subject: TuningSubject,
    readonly problem: string,
    { where, remedy, ...options }: TuningErrorOptions = {},
  ) {
    super(
      messageOf({ subject, problem, where, remedy }, (name) => name),
      options,
    );
    this.where = where;
    this.remedy = remedy;
  }

  /** The message for a reader who knows subjects by other names. */
  messageAs(nameOf: (subject: TuningSubject) => string): string {
    return messageOf(this, nameOf);
  }
}

function messageOf(
  { subject, problem, where, remedy }: Pick<TuningError, 'subject' | 'problem' | 'where' | 'remedy'>,
  nameOf: (subject: TuningSubject) => string,
): string {
  const message = `${where ?? nameOf(subject)}: ${problem}`;
  return remedy === undefined ? message : `${message}; ${nameOf(remedy.subject)} ${remedy.text}`;
}

/** The loss, or a trained value, is NaN or infinite. */
export class DivergedError extends TuningError {
  constructor(readonly step: number) {
    super('learningRate', `training diverged at step ${step}: the loss is NaN or infinite; lower the learning rate`);
  }
}
