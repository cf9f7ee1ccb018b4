/** Parsers of settings. Each throws an `Error` whose message says what is wrong with the text. */
import { resolve } from 'node:path';

import type { ApiKey } from '../tenancy/static-keys.js';

/** Location of a store. */
export type StoreLocation =
  | { readonly kind: 'file'; readonly directory: string }
  /** The URL may hold a password, so it is never logged. */
  | { readonly kind: 'redis'; readonly url: string };

/** Context in which the text of a setting is parsed. */
export interface Context {
  /** Directory that relative paths start from. */
  readonly cwd: string;
}

export function parseInteger(min: number, max: number): (given: string) => number {
  return (given) => {
    const value = Number(given);
    if (/^\d+$/.test(given) && value >= min && value <= max) return value;
    throw new Error(`'${given}' is not an integer from ${min} to ${max}`);
  };
}

/** Parses a number above 0 and at most `max`. */
export function parseNumber(max: number): (given: string) => number {
  return (given) => {
    const value = Number(given);
    if (/^\d+(\.\d+)?$/.test(given) && value > 0 && value <= max) return value;
    throw new Error(`'${given}' is not a number above 0 and at most ${max}`);
  };
}

/** Parses a number from 0 to 1. */
export function parseRatio(given: string): number {
  const value = Number(given);
  if (/^\d*\.?\d+$/.test(given) && value <= 1) return value;
  throw new Error(`'${given}' is not a number from 0 to 1`);
}

/** Parses true or false, in capitals or not, as OpenTelemetry does. */
export function parseBoolean(given: string): boolean {
  if (/^(true|false)$/i.test(given)) return given.toLowerCase() === 'true';
  throw new Error(`'${given}' is none of true, false`);
}

/** Parses a URL. The message never shows it, because it may hold a password. */
export function httpUrl(given: string): string {
  if (URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)) return given;
  throw new Error('this is not a URL like http://host:4318');
}

/** Parses hosts, without scheme and port. Messages name an entry by its number, because a URL may hold a password. */
export function hostNames(given: string): readonly string[] {
  const what = 'a host such as preamble.example or [fd00::1], without scheme and port';
  return entries(given, what, (entry) => HOST.test(entry)).map((host) => host.toLowerCase());
}

/** Parses origins of web pages as browsers send them, or `*`. Messages name an entry by its number. */
export function webOrigins(given: string): readonly string[] {
  if (given === '*') return [given];
  return entries(
    given,
    'an origin such as https://app.example, in lower case, with neither path nor default port',
    isOrigin,
  );
}

const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)$/i;

/** Browsers' own pages have other schemes, of which `URL` knows no origin. */
function isOrigin(entry: string): boolean {
  const [, scheme = '', host = ''] = /^([a-z][a-z\d+.-]*):\/\/(.+?)(:\d+)?$/.exec(entry) ?? [];
  if (!HOST.test(host)) return false;
  return !/^https?$/.test(scheme) || (URL.canParse(entry) && new URL(entry).origin === entry);
}

/** The entries of a list with commas, each of which `isGood` accepts. */
function entries(given: string, what: string, isGood: (entry: string) => boolean): readonly string[] {
  const all = given.split(',').map((entry) => entry.trim());
  const bad = all.findIndex((entry) => !isGood(entry));
  if (bad >= 0) throw new Error(`entry ${bad + 1} is not ${what}`);
  return all;
}

export function text(given: string): string {
  return given;
}

export function path(given: string, { cwd }: Context): string {
  return resolve(cwd, given);
}

export function modelName(given: string): string {
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(given) && given.length <= 128) return given;
  throw new Error(`'${given}' is not a model's id: 1 to 128 of A-Z a-z 0-9 . _ - /`);
}

export function store(given: string, { cwd }: Context): StoreLocation {
  if (/^rediss?:/.test(given)) return { kind: 'redis', url: redisUrl(given) };
  const directory = /^file:(.+)$/.exec(given)?.[1];
  if (!directory) throw new Error(`${shown(given)} is not file:DIR, redis://... or rediss://...`);
  if (/[?#]/.test(directory)) throw new Error(`${shown(given)} has ? or #, which the path of a store cannot have`);
  if (/^\/\/(?!\/)/.test(directory)) throw new Error('a host is not supported: write file:DIR or file:///DIR');
  return fileStore(resolve(cwd, directory));
}

/** The text for a message, hidden if it looks like a URL, which may hold a password. */
function shown(given: string): string {
  return given.includes('://') || given.includes('@') ? 'this' : `'${given}'`;
}

/** Checks a URL of Redis, of which the client would take parts for options. The messages never show it, because it may hold a password. */
function redisUrl(given: string): string {
  const refuse = (problem: string): never => {
    throw new Error(`${problem}; it is written redis://user:password@host:6379/0`);
  };
  const [, authority = '', path = '', query = '', fragment] =
    /^rediss?:\/\/([^/?#]*)(\/[^?#]*)?(\?[^#]*)?(#.*)?$/.exec(given.trim()) ?? refuse('this is not the URL of a Redis');
  if (query !== '') refuse('the URL has a query: a database is written /3, a ? in a password %3F');
  if (fragment !== undefined) refuse('the URL has a fragment: a # in a password is written %23');
  if (!/^(\/\d{0,9})?$/.test(path))
    refuse('the path is not the number of a database; a / in a password is written %2F');
  const at = authority.lastIndexOf('@');
  if (!isDecodable(authority.slice(0, Math.max(0, at)))) refuse('user or password has a % that is not written %25');
  const [, host, port = ''] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(.*))?$/i.exec(authority.slice(at + 1)) ?? [];
  if (host === undefined) refuse('the URL has no host, or one that cannot be used');
  if (!/^\d*$/.test(port) || Number(port || 6379) > 65_535 || Number(port || 6379) < 1)
    refuse('the port is not from 1 to 65535');
  if (!URL.canParse(given)) refuse('this is not the URL of a Redis');
  return given.trim();
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

export function fileStore(directory: string): StoreLocation {
  return { kind: 'file', directory };
}

/** Parses `tenant=key` pairs. Messages name a pair by its number, because keys are never logged. */
export function apiKeys(given: string): readonly ApiKey[] {
  const pairs = given.split(',').map(apiKey);
  if (new Set(pairs.map(({ key }) => key)).size < pairs.length) throw new Error('the same key is given twice');
  return pairs;
}

function apiKey(pair: string, index: number): ApiKey {
  const match = /^\s*([A-Za-z0-9][\w.-]{0,63})=([\x21-\x7e]+)\s*$/.exec(pair);
  if (!match?.[1] || !match[2]) throw new Error(`pair ${index + 1} is not tenant=key`);
  return { tenant: match[1], key: match[2] };
}

export function adminKey(given: string): string {
  if (/^[\x21-\x7e]{16,}$/.test(given)) return given;
  throw new Error('a key has at least 16 characters, none of them a space');
}
