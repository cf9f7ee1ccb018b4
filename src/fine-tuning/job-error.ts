import { StoreError } from '../lib/store-error.js';
import { PrefixError, type PrefixErrorCode } from '../prefix/errors.js';
import { TuningError, type TuningSubject } from '../tuning/errors.js';
import { FileError } from '../files/errors.js';
import type { JobError } from './job.js';

/** What the owner is told of what is no fault of the job's. */
export const SERVER_FAULT: JobError = {
  code: 'training_failed',
  message: 'The server failed to train. Its log has the details.',
  param: null,
};

/** The field of the request for each subject of training; null for what a request does not name. */
const FIELDS: Readonly<Record<TuningSubject, string | null>> = {
  train: 'training_file',
  valid: 'validation_file',
  adapter: 'model',
  init: 'prefix_tuning.init',
  length: 'prefix_tuning.length',
  mlp: 'prefix_tuning.mlp',
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

/** Whether a job can be done when a store is back. A full store of prefixes ends it: its owner can make room. */
export function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && (error.store !== 'prefixes' || error.code === 'store_unavailable');
}

/** What the owner of a job is told of its error. Throws what is no fault of the job: a store that is away. */
export function jobError(error: unknown): JobError {
  if (isStoreAway(error)) throw error;
  if (error instanceof StoreError) return { code: error.code, message: error.message, param: null };
  if (error instanceof TuningError) return refusal(error);
  if (error instanceof FileError) return { code: error.code, message: error.message, param: error.param };
  if (!(error instanceof PrefixError)) return SERVER_FAULT;
  const param = PREFIX_PARAMS[error.code] ?? error.param;
  return { code: error.code, message: renamed(error.message, error.param, param), param };
}

function refusal(error: TuningError): JobError {
  const { subject } = error;
  const param = FIELDS[subject];
  const code = subject === 'train' || subject === 'valid' ? 'invalid_training_file' : 'invalid_value';
  return { code, message: error.messageAs(param ?? subject), param };
}

/** With the request's field at the beginning of the message. */
function renamed(message: string, from: string, to: string): string {
  return message.startsWith(`${from}:`) ? `${to}${message.slice(from.length)}` : message;
}
