import { PrefixError, type PrefixErrorCode } from '../../prefix/errors.js';
import { redisFailure, type RedisFailure } from '../errors.js';
import { FileDamagedError } from '../pieces.js';

const CODES: Readonly<Record<RedisFailure, readonly [PrefixErrorCode, string]>> = {
  unavailable: ['store_unavailable', 'the store of prefixes is away'],
  refused: ['store_unavailable', 'Redis refuses the credentials in PREAMBLE_STORE'],
  full: ['store_full', 'the store of prefixes is full'],
  read_only: ['store_read_only', 'the store of prefixes takes no writes: it is a replica'],
  redirected: ['store_redirected', 'PREAMBLE_STORE must name a single Redis, or a proxy that looks like one'],
};

/** What a command of the store failed with, in the words of `PrefixStore`. An error of the program stays as it is. */
export function asStoreError(error: unknown): unknown {
  if (error instanceof FileDamagedError) return new PrefixError('prefix_damaged', `name: ${error.message}`);
  const failure = redisFailure(error);
  if (failure === undefined) return error;
  const [code, text] = CODES[failure];
  return new PrefixError(code, `name: ${text}`, { cause: error });
}
