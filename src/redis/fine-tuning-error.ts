import { FineTuningError } from '../fine-tuning/errors.js';
import { redisFailure, type RedisFailure } from './errors.js';

const PROBLEMS: Readonly<Record<RedisFailure, string>> = {
  unavailable: 'is away',
  refused: 'refuses the credentials in PREAMBLE_STORE',
  full: 'is full',
  read_only: 'takes no writes: it is a replica',
  redirected: 'must be a single Redis, or a proxy that looks like one',
};

/** What a command failed with, in the words of the stores of files and jobs. An error of the program stays as it is. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const failure = redisFailure(cause);
    if (failure === undefined) throw cause;
    const message = `The store of files and jobs ${PROBLEMS[failure]}.`;
    throw new FineTuningError('store_unavailable', message, undefined, { cause });
  }
}
