import { StoreError } from '../lib/store-error.js';
import { systemError } from '../lib/system-error.js';
import { PrefixError, type PrefixErrorCode } from '../prefix/errors.js';
import { TuningError, type TuningSubject } from '../tuning/errors.js';
import { FileError } from '../files/errors.js';
import type { JobProblem } from '../jobs/job.js';

/** The owner's message for an error of the server. @param place variable that names the directory of the jobs' files */
export function serverFault(error: unknown, place: string): JobProblem {
  const disk = systemError(error)?.code;
  const message =
    disk === undefined
      ? 'The server failed to train. Its log has the details.'
      : `The server failed to train: its disk failed (${disk}), in the directory that ${place} names.`;
  return { code: 'training_failed', message, param: null };
}

/** The field of the request for each subject of training; null for what a request does not name. */
const FIELDS: Readonly<Record<TuningSubject, string | null>> = {
  train: 'training_file',
  valid: 'validation_file',
  adapter: 'model',
  init: 'prefix_tuning.init',
  method: 'prefix_tuning.method',
  sites: 'prefix_tuning.sites',
  length: 'prefix_tuning.length',
  mlp: 'prefix_tuning.mlp',
  tooLong: 'prefix_tuning.too_long',
  learningRate: 'prefix_tuning.learning_rate',
  patience: 'prefix_tuning.patience',
  model: null,
  data: null,
  out: null,
};

/** Where the field of the request is another than that of an upload. */
const PREFIX_PARAMS: Partial<Record<PrefixErrorCode, string>> = {
  prefix_not_found: 'model',
  prefix_too_long: 'prefix_tuning.length',
};

/** The owner's message for a job whose workers died. */
export function deathProblem(deaths: number): JobProblem {
  const message = `The job was given up: ${deaths} workers died while they trained it.`;
  return { code: 'training_failed', message, param: null };
}

/** The owner's message for an error of a job; undefined for an error of the server. */
export function problemOf(error: unknown): JobProblem | undefined {
  if (error instanceof StoreError) return { code: error.code, message: error.message, param: null };
  if (error instanceof TuningError) return refusal(error);
  if (error instanceof FileError) return { code: error.code, message: error.message, param: error.param };
  if (!(error instanceof PrefixError)) return undefined;
  const param = PREFIX_PARAMS[error.code] ?? error.param;
  return { code: error.code, message: renamed(error.message, error.param, param), param };
}

/** The field of the request, or the subject where a request does not name it. */
export function fieldOf(subject: TuningSubject): string {
  return FIELDS[subject] ?? subject;
}

function refusal(error: TuningError): JobProblem {
  const { subject } = error;
  const param = FIELDS[subject];
  const code = subject === 'train' || subject === 'valid' ? 'invalid_training_file' : 'invalid_value';
  return { code, message: error.messageAs(fieldOf), param };
}

/** With the request's field at the beginning of the message. */
function renamed(message: string, from: string, to: string): string {
  return message.startsWith(`${from}:`) ? `${to}${message.slice(from.length)}` : message;
}
