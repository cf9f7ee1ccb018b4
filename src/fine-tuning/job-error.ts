import { StoreError } from '../lib/store-error.js';
import { PrefixError, type PrefixErrorCode } from '../prefix/errors.js';
import { FineTuningError } from './errors.js';
import type { JobError } from './job.js';
import { TrainingRefusedError } from './trainer.js';

/** What the owner is told of what is no fault of the job's. */
export const SERVER_FAULT: JobError = {
  code: 'training_failed',
  message: 'The server failed to train. Its log has the details.',
  param: null,
};

/** How messages of training begin, and the field of the request that they are about. */
const SUBJECTS: readonly (readonly [start: string, param: string])[] = [
  ['training_file', 'training_file'],
  ['training data', 'training_file'],
  ['validation_file', 'validation_file'],
  ['validation data', 'validation_file'],
  ['adapter', 'model'],
  ['length', 'prefix_tuning.length'],
  ['mlp', 'prefix_tuning.mlp'],
  ['init', 'prefix_tuning.init'],
  ['the loss', 'prefix_tuning.learning_rate'],
];

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
  if (error instanceof TrainingRefusedError) return refusal(error);
  if (error instanceof FineTuningError) return { code: error.code, message: error.message, param: error.param ?? null };
  if (!(error instanceof PrefixError)) return SERVER_FAULT;
  const param = PREFIX_PARAMS[error.code] ?? error.param;
  return { code: error.code, message: renamed(error.message, error.param, param), param };
}

function refusal(error: TrainingRefusedError): JobError {
  const message = error.message.replace(/^--/, ''); // of an option of the command line
  const [start, param] = SUBJECTS.find(([subject]) => message.startsWith(subject)) ?? [];
  if (start === undefined || param === undefined) return { code: 'invalid_value', message, param: null };
  const code = param.endsWith('_file') ? 'invalid_training_file' : 'invalid_value';
  return { code, message: renamed(message, start, param), param };
}

/** With the request's field at the beginning of the message. */
function renamed(message: string, from: string, to: string): string {
  return message.startsWith(`${from}:`) ? `${to}${message.slice(from.length)}` : message;
}
