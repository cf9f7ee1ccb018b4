import type { TuningError, TuningSubject } from '../tuning/errors.js';

/** The option of the command line for each subject of `tune` and `evaluate`. */
const OPTIONS: Readonly<Record<TuningSubject, string>> = {
  train: '--train',
  valid: '--valid',
  data: '--data',
  model: '--model',
  adapter: '--init',
  out: '--out',
  init: '--init',
  method: '--method',
  sites: '--sites',
  length: '--length',
  mlp: '--mlp',
  tooLong: '--too-long',
  learningRate: '--lr',
  patience: '--patience',
};

/** The field of a study's spec for each subject of its runs. */
const SPEC_FIELDS: Readonly<Record<TuningSubject, string>> = {
  train: 'data.train',
  valid: 'data.valid',
  data: 'data.test',
  model: 'model',
  adapter: 'axes.init',
  out: '--out',
  init: 'axes.init',
  method: 'axes.method',
  sites: 'axes.sites',
  length: 'axes.length',
  mlp: 'axes.mlp',
  tooLong: 'training.too_long',
  learningRate: 'axes.lr',
  patience: 'training.patience',
};

/** The option that a subject was given with. */
export function optionOf(subject: TuningSubject): string {
  return OPTIONS[subject];
}

/** The field of a study's spec that a subject was given with. */
export function specFieldOf(subject: TuningSubject): string {
  return SPEC_FIELDS[subject];
}

/** The message of an error of training, by the option that its subject was given with. */
export function byOption(error: TuningError): string {
  return error.messageAs(optionOf);
}

/** The message of an error of a study's run, by the field of the spec. */
export function bySpecField(error: TuningError): string {
  return error.messageAs(specFieldOf);
}
