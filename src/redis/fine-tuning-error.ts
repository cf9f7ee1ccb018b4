import { FineTuningError } from '../fine-tuning/errors.js';
import { redisFailure, type RedisFailure } from './errors.js';

const PROBLEMS: Readonly<Record<RedisFailure, string>> = {
  unavailable: 'is away',
  refused: 'refuses the credentials in PREAMBLE_STORE',
  full: 'is full',
  read_only: 'takes no writes: it is a replica',
  redirected: 'must be a single Redis, or a proxy that looks like one',
};

/** An answer; what it failed with is in the words of `asFineTuningError`. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asFineTuningError(error);
  }
}

/** What a command failed with, in the words of the stores of files and jobs. An error of the program stays as it is. */
export function asFineTuningError(cause: unknown): unknown {
  const failure = redisFailure(cause);
  if (failure === undefined) return cause;
  const message = `The store of files and jobs ${PROBLEMS[failure]}.`;
  return new FineTuningError('store_unavailable', message, undefined, { cause });
}
