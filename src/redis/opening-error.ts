import { RedisRefusedError, RedisUnavailableError } from './errors.js';
import type { RedisOptions, RedisTls } from './options.js';

/** What the client, Node.js and Redis tell about a failure. */
type Cause = Error & {
  /** Of the system, of Node.js or of OpenSSL. */
  readonly code?: string;
  /** The certificate that is for another host. */
  readonly cert?: { readonly subjectaltname?: string };
  /** The command that Redis answers with this error. */
  readonly command?: { readonly name: string };
};

/** Names a Redis in messages: host and port, without credentials. */
export function placeOf({ url }: Pick<RedisOptions, 'url'>): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 6379}`;
}

/**
 * Says why a connection could not be opened, in words for an operator. They hold host and port, but no credentials and no text of Redis
 * that could hold some.
 */
export function openingError(cause: Cause, options: RedisOptions): RedisRefusedError | RedisUnavailableError {
  const place = placeOf(options);
  const refused = refusal(cause, place, options);
  if (refused !== undefined) return new RedisRefusedError(refused, { cause });
  return new RedisUnavailableError(absence(cause, place, options), { cause });
}

/** What the client adds to its message about an answer that it cannot parse. */
const NO_REPLY = /Please report this\.$/;

/** What must be changed, here or at Redis; undefined where waiting may be enough. */
function refusal(cause: Cause, place: string, options: RedisOptions): string | undefined {
  if (cause.name === 'ReplyError') return refusedReply(cause, place, options);
  if (NO_REPLY.test(cause.message)) return `${place} answers, but not as Redis does`;
  return options.url.startsWith('rediss:') ? refusedTls(cause, place, options) : undefined;
}

function refusedReply({ message, command }: Cause, place: string, { url }: RedisOptions): string | undefined {
  const [word = ''] = message.split(' ', 1);
  if (/max number of clients/.test(message)) return undefined;
  if (word === 'NOAUTH') return `${place} wants a password, and the URL has none`;
  if (word === 'WRONGPASS') return `${place} refuses the user or the password in the URL`;
  if (word === 'DENIED')
    return `${place} is in protected mode: it serves only its own machine while it has no password`;
  if (command?.name !== 'select') return `${place} answers ${command?.name ?? ''} with the error ${word}`;
  return word === 'NOPERM'
    ? `${place} does not let its user run select`
    : `${place} has no database ${databaseOf(url)}`;
}

function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

/** Codes of a certificate whose chain does not end at an authority that is trusted. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Codes of an answer that is no TLS. */
const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

function refusedTls({ code = '', cert }: Cause, place: string, { tls }: RedisOptions): string | undefined {
  const certificate = `the certificate of ${place}`;
  if (UNTRUSTED.has(code)) {
    const help =
      tls?.ca === undefined
        ? 'PREAMBLE_STORE_CA can name a file with its certificate'
        : 'it is not in PREAMBLE_STORE_CA';
    return `${certificate} is from an authority that is not trusted: ${help}`;
  }
  if (code === 'CERT_HAS_EXPIRED') return `${certificate} has expired`;
  if (code === 'CERT_NOT_YET_VALID') return `${certificate} is not valid yet`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `${certificate} is for ${cert?.subjectaltname ?? 'another host'}`;
  const alert = /^ERR_SSL_\w+_ALERT_(\w+)$/.exec(code)?.[1];
  if (alert !== undefined)
    return `${place} refuses TLS: ${alert.toLowerCase().replaceAll('_', ' ')}. ${ifItWantsOne(tls)}`;
  if (NO_TLS.has(code)) return `${place} does not speak TLS: write redis://`;
  return code.startsWith('ERR_SSL_') ? `${place} and Node.js do not agree on TLS (${code})` : undefined;
}

function ifItWantsOne(tls: RedisTls | undefined): string {
  const help =
    tls?.cert === undefined
      ? 'PREAMBLE_STORE_CERT and PREAMBLE_STORE_KEY can name one'
      : 'it may not trust that in PREAMBLE_STORE_CERT';
  return `If it wants a client certificate, ${help}`;
}

/** Codes of a connection that the other side ended; '' where the client noticed no more than the end. */
const ENDED: ReadonlySet<string> = new Set(['', 'ECONNRESET', 'EPIPE']);

function absence({ code = '', message }: Cause, place: string, { url, tls }: RedisOptions): string {
  const plain = url.startsWith('rediss:') ? ' If it does not speak TLS, write redis://.' : '';
  if (code === 'ENOTFOUND') return `the name of the host ${place} is not known`;
  if (code === 'EAI_AGAIN') return `the name of the host ${place} cannot be looked up at present`;
  if (code === 'ECONNREFUSED') return `${place} refuses the connection: nothing listens there`;
  if (code === 'ETIMEDOUT' || /^(Command timed out|Socket timeout)/.test(message))
    return `${place} does not answer in time.${plain}`;
  if (/max number of clients/.test(message)) return `${place} has too many clients`;
  if (!ENDED.has(code)) return `${place} cannot be reached (${code})`;
  const wants = plain === '' ? ' If it speaks TLS, write rediss://.' : `${plain} ${ifItWantsOne(tls)}.`;
  return `${place} ends the connection without an answer.${wants} Or it has too many clients`;
}
