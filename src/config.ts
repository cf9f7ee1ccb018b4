import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { physicalCores } from './cores.js';
import type { ApiKey } from './server/plugins/auth.js';

/** A setting that cannot be used. The message starts with the variable's name and never shows a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(
    readonly variable: string,
    problem: string,
  ) {
    super(`${variable}: ${problem}`);
  }
}

/** Where prefixes live. */
export interface StoreLocation {
  readonly kind: 'file';
  readonly directory: string;
}

interface Context {
  /** What the user's relative paths are relative to. */
  readonly cwd: string;
}

interface Variable<T> {
  readonly name: string;
  /** Read when the variable is absent or empty. */
  readonly fallback: () => T;
  /** Throws an `Error` whose message says what is wrong with the text. */
  readonly parse: (text: string, context: Context) => T;
}

/** The package's own directory: defaults are relative to it, wherever the process was started. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));
/** The demo model that comes with the package; its prefixes are in `bundledPrefixes`. */
export const bundledModel = resolve(packageRoot, 'models/preamble-demo');
export const bundledPrefixes = resolve(packageRoot, 'prefixes/bundled');

/** Where prefixes live unless PREAMBLE_STORE says otherwise. */
export const defaultStoreDirectory = resolve(packageRoot, 'prefixes');

const MiB = 2 ** 20;
const variables = {
  host: variable('HOST', () => '127.0.0.1', text),
  port: integer('PORT', 8000, 0, 65_535),
  /** A Hugging Face GPT-2 directory or a compiled one. */
  model: variable('PREAMBLE_MODEL', () => bundledModel, path),
  modelName: variable('PREAMBLE_MODEL_NAME', () => undefined as string | undefined, modelName),
  cache: variable('PREAMBLE_CACHE', () => resolve(packageRoot, 'models/.cache'), path),
  store: variable('PREAMBLE_STORE', () => fileStore(defaultStoreDirectory), store),
  apiKeys: variable('PREAMBLE_API_KEYS', () => [] as readonly ApiKey[], apiKeys),
  adminKey: variable('PREAMBLE_ADMIN_KEY', () => undefined, notYet),
  provider: choice('PREAMBLE_PROVIDER', 'cpu', ['cpu', 'cuda', 'webgpu']),
  /** Sequences that decode together. */
  slots: integer('PREAMBLE_SLOTS', 32, 1, 1024),
  /** Threads inside one step. */
  threads: variable('PREAMBLE_THREADS', physicalCores, parseInteger(1, 1024)),
  logLevel: choice('PREAMBLE_LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  /** Sequences that may wait for a slot. */
  maxWaitingRequests: integer('PREAMBLE_MAX_WAITING_REQUESTS', 1024, 1, 1_000_000),
  /** Prompt and generated tokens that the waiting sequences may ask for together. */
  maxWaitingTokens: integer('PREAMBLE_MAX_WAITING_TOKENS', 1_048_576, 1, 1_000_000_000),
  /** Prompt tokens that share one step with the decoding rows. */
  maxChunkTokens: integer('PREAMBLE_MAX_CHUNK_TOKENS', 64, 1, 65_536),
  /** Choices of one request: prompts times `n`. */
  maxChoices: integer('PREAMBLE_MAX_CHOICES', 256, 1, 65_536),
  maxBatchItems: integer('PREAMBLE_MAX_BATCH_ITEMS', 256, 1, 65_536),
  /** Bytes of a JSON body. */
  maxBodyBytes: integer('PREAMBLE_MAX_BODY_BYTES', 4 * MiB, 1024, 1024 * MiB),
  /** Bytes of one uploaded prefix. */
  maxUploadBytes: integer('PREAMBLE_MAX_UPLOAD_BYTES', 128 * MiB, 1024, 2047 * MiB),
  /** Virtual tokens of one prefix; by default half of the model's context. */
  maxVirtualTokens: variable(
    'PREAMBLE_MAX_VIRTUAL_TOKENS',
    () => undefined as number | undefined,
    parseInteger(1, 65_536),
  ),
  /** Decoded keys and values kept in memory. */
  prefixCacheBytes: integer('PREAMBLE_PREFIX_CACHE_BYTES', 512 * MiB, 0, Number.MAX_SAFE_INTEGER),
  /** How long accepted requests may take to finish after SIGTERM. */
  drainSeconds: integer('PREAMBLE_DRAIN_SECONDS', 30, 0, 86_400),
};

type Variables = typeof variables;

/** Every setting of the server, read once and frozen. */
export type Config = { readonly [K in keyof Variables]: ReturnType<Variables[K]['parse']> };

/**
 * Reads the environment; no other file does. An empty variable counts as absent.
 * @throws ConfigError naming the first variable that is unknown or has a bad value.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, cwd: string = process.cwd()): Config {
  refuseUnknown(env);
  const config = readVariables(env, { cwd });
  refuseOpenListener(config);
  return Object.freeze(config);
}

/** The key a client on this machine may use: that of the first pair in PREAMBLE_API_KEYS. */
export function readClientKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return readVariable(variables.apiKeys, env, { cwd: process.cwd() })[0]?.key;
}

/** The settings as they are when nothing is set, for tests to build on. */
export function defaultConfig(): Config {
  return readConfig({});
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function readVariables(env: NodeJS.ProcessEnv, context: Context): Config {
  const entries = Object.entries(variables).map(([key, item]) => [
    key,
    readVariable<unknown>(item as Variable<unknown>, env, context),
  ]);
  return Object.fromEntries(entries) as Config;
}

function readVariable<T>(item: Variable<T>, env: NodeJS.ProcessEnv, context: Context): T {
  const given = env[item.name];
  if (given === undefined || given === '') return item.fallback();
  try {
    return item.parse(given, context);
  } catch (error) {
    throw new ConfigError(item.name, (error as Error).message);
  }
}

/** A misspelt variable would otherwise be a setting that silently does nothing. */
function refuseUnknown(env: NodeJS.ProcessEnv): void {
  const known = new Set(Object.values(variables).map((item) => item.name));
  const unknown = Object.keys(env).find((name) => name.startsWith('PREAMBLE_') && !known.has(name));
  if (unknown) throw new ConfigError(unknown, 'no such setting');
}

function refuseOpenListener({ host, apiKeys }: Config): void {
  if (apiKeys.length > 0 || isLoopback(host)) return;
  throw new ConfigError('HOST', `'${host}' is not a loopback address; set PREAMBLE_API_KEYS to listen there`);
}

function variable<T>(name: string, fallback: () => T, parse: Variable<T>['parse']): Variable<T> {
  return { name, fallback, parse };
}

function integer(name: string, fallback: number, min: number, max: number): Variable<number> {
  return variable(name, () => fallback, parseInteger(min, max));
}

function choice<const T extends string>(name: string, fallback: T, values: readonly T[]): Variable<T> {
  return variable(
    name,
    () => fallback,
    (given) => {
      const value = values.find((candidate) => candidate === given);
      if (!value) throw new Error(`'${given}' is none of ${values.join(', ')}`);
      return value;
    },
  );
}

function parseInteger(min: number, max: number): (given: string) => number {
  return (given) => {
    const value = Number(given);
    if (/^\d+$/.test(given) && value >= min && value <= max) return value;
    throw new Error(`'${given}' is not an integer from ${min} to ${max}`);
  };
}

function text(given: string): string {
  return given;
}

function path(given: string, { cwd }: Context): string {
  return resolve(cwd, given);
}

function modelName(given: string): string {
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(given) && given.length <= 128) return given;
  throw new Error(`'${given}' is not a model's id: 1 to 128 of A-Z a-z 0-9 . _ - /`);
}

function store(given: string, { cwd }: Context): StoreLocation {
  if (/^rediss?:/.test(given)) throw new Error('a Redis store is not in this version yet; use file:DIR');
  const directory = /^file:(.+)$/.exec(given)?.[1];
  if (!directory) throw new Error(`'${given}' is not file:DIR`);
  return fileStore(resolve(cwd, directory));
}

function fileStore(directory: string): StoreLocation {
  return { kind: 'file', directory };
}

/** `tenant=key` pairs. Messages count pairs instead of showing them: a key belongs in no log. */
function apiKeys(given: string): readonly ApiKey[] {
  const pairs = given.split(',').map(apiKey);
  if (new Set(pairs.map(({ key }) => key)).size < pairs.length) throw new Error('the same key is given twice');
  return pairs;
}

function apiKey(pair: string, index: number): ApiKey {
  const match = /^\s*([A-Za-z0-9][\w.-]{0,63})=([\x21-\x7e]+)\s*$/.exec(pair);
  if (!match?.[1] || !match[2]) throw new Error(`pair ${index + 1} is not tenant=key`);
  return { tenant: match[1], key: match[2] };
}

function notYet(): undefined {
  throw new Error('administration is not in this version yet; leave it unset');
}

function findPackageRoot(from: string): string {
  if (existsSync(resolve(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${basename(from)}`);
  return findPackageRoot(parent);
}
