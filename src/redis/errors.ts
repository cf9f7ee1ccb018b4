import type { StoreErrorReason } from '../lib/store-error.js';

/** Redis cannot be reached, or did not answer in time. The command may or may not have been carried out. */
export class RedisUnavailableError extends Error {
  override readonly name = 'RedisUnavailableError';
}

/** Redis cannot be used until something is changed, here or there: its URL, TLS, credentials, database or rights. */
export class RedisRefusedError extends Error {
  override readonly name = 'RedisRefusedError';
}

/** Reasons by the first word of Redis's error replies. */
const REPLIES: Readonly<Record<string, StoreErrorReason>> = {
  OOM: 'full',
  READONLY: 'read_only',
  MOVED: 'redirected',
  ASK: 'redirected',
  CROSSSLOT: 'redirected',
  NOAUTH: 'refused',
  WRONGPASS: 'refused',
  NOPERM: 'refused',
  LOADING: 'unavailable',
  BUSY: 'unavailable',
  CLUSTERDOWN: 'unavailable',
  TRYAGAIN: 'unavailable',
  MASTERDOWN: 'unavailable',
  NOREPLICAS: 'unavailable',
  MISCONF: 'unavailable',
  UNKILLABLE: 'unavailable',
};

/** The client's messages about a lost or missing connection. */
const LOST = /^(Connection is closed|Stream isn't writeable|Command timed out|Reached the max retries|Command aborted)/;

/** Why Redis failed a command or could not be reached; undefined for errors that are not Redis's. */
export function redisFailure(error: unknown): StoreErrorReason | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof RedisUnavailableError || LOST.test(error.message) || 'syscall' in error) return 'unavailable';
  if (error.name !== 'ReplyError') return undefined;
  // The error of a script contains the reply of the command that failed in it.
  const words = error.message.replace(/^ERR (?=Error running script|.*-[A-Z]+ )/, '');
  const [first = ''] = words.split(' ');
  return REPLIES[first] ?? REPLIES[/ -([A-Z]+) /.exec(words)?.[1] ?? ''];
}
