import type { StoreErrorReason } from '../lib/store-error.js';
import type { StoreFailure } from '../lib/store-health.js';

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
  NOREPLICAS: 'read_only',
  MISCONF: 'read_only', // it could not save to its disk, and takes no more until it can
  MOVED: 'redirected',
  ASK: 'redirected',
  CROSSSLOT: 'redirected',
  NOAUTH: 'refused',
  WRONGPASS: 'refused',
  NOPERM: 'forbidden',
  LOADING: 'unavailable',
  BUSY: 'unavailable',
  CLUSTERDOWN: 'unavailable',
  TRYAGAIN: 'unavailable',
  MASTERDOWN: 'unavailable',
  MAXCLIENTS: 'unavailable',
  UNKILLABLE: 'unavailable',
};

/** Replies without a word of their own, and the word that they get. */
const WORDLESS: readonly (readonly [RegExp, string])[] = [
  [/^ERR (ACL failure in script:|The user executing the script can't) /, 'NOPERM'],
  [/^ERR max number of clients reached/, 'MAXCLIENTS'],
];

/** The client's messages about a lost or missing connection. */
const LOST = /^(Connection is closed|Stream isn't writeable|Command timed out|Reached the max retries|Command aborted)/;

/** Why Redis failed a command or could not be reached; undefined for errors that are not Redis's. */
export function redisFailure(error: unknown): StoreErrorReason | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof RedisUnavailableError || LOST.test(error.message) || 'syscall' in error) return 'unavailable';
  const word = replyWord(error);
  return word === undefined ? undefined : REPLIES[word];
}

/** As `redisFailure`, with a word that holds nothing of a user, a key or a value: Redis's own, or the system's. */
export function storeFailure(error: Error & { readonly code?: string }): StoreFailure | undefined {
  const reason = redisFailure(error);
  if (reason === undefined) return undefined;
  const lost = error.message.startsWith('Command timed out') ? 'timeout' : 'connection lost';
  return { reason, cause: replyWord(error) ?? error.code ?? lost };
}

/** The word of Redis's that says what is wrong; undefined for errors that are not replies, and for words that say nothing of a store. */
function replyWord(error: Error & { readonly previousErrors?: readonly Error[] }): string | undefined {
  const { name, message, previousErrors: [first] = [] } = error;
  if (name !== 'ReplyError') return undefined;
  if (message.startsWith('EXECABORT') && first !== undefined) return replyWord(first);
  const wordless = WORDLESS.find(([pattern]) => pattern.test(message))?.[1];
  // The error of a script contains the reply of the command that failed in it.
  const words = message.replace(/^ERR (?=Error running script|.*-[A-Z]+ )/, '');
  const candidates = [wordless, words.split(' ')[0], / -([A-Z]+) /.exec(words)?.[1]];
  return candidates.find((word) => word !== undefined && word in REPLIES);
}
