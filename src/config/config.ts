import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { physicalCores } from './cores.js';
import { KV_PRECISIONS, type KvPrecision, WEIGHT_PRECISIONS, type WeightPrecision } from '../model/precision.js';
import {
  adminKey,
  apiKeys,
  type Context,
  fileStore,
  httpUrl,
  modelName,
  parseBoolean,
  parseInteger,
  parseNumber,
  parseRatio,
  path,
  store,
  type StoreLocation,
  text,
} from './parsers.js';
import { MAX_WEIGHT, type TenantLimits } from '../tenancy/limits.js';
import type { ApiKey } from '../tenancy/static-keys.js';

export type { StoreLocation } from './parsers.js';

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

/** The system's own error, such as a file that is missing or an address in use; undefined for any other. */
export function systemError(error: unknown): NodeJS.ErrnoException | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException) : undefined;
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
const OTLP_PROTOCOLS = ['http/protobuf', 'http/json'] as const;
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
const variables = {
  host: variable('HOST', () => '127.0.0.1', text),
  port: integer('PORT', 8000, 0, 65_535),
  /** A Hugging Face GPT-2 directory or a compiled one. */
  model: variable('PREAMBLE_MODEL', () => bundledModel, path),
  modelName: variable('PREAMBLE_MODEL_NAME', () => undefined as string | undefined, modelName),
  cache: variable('PREAMBLE_CACHE', () => resolve(packageRoot, 'models/.cache'), path),
  store: variable('PREAMBLE_STORE', () => fileStore(defaultStoreDirectory), store),
  apiKeys: variable('PREAMBLE_API_KEYS', () => [] as readonly ApiKey[], apiKeys),
  /** Turns `/v1/admin/*` on. */
  adminKey: variable('PREAMBLE_ADMIN_KEY', () => undefined as string | undefined, adminKey),
  provider: choice('PREAMBLE_PROVIDER', 'cpu', ['cpu', 'cuda', 'webgpu']),
  /** Undefined where the provider decides: see `precisions`. */
  weights: choice('PREAMBLE_WEIGHTS', undefined, WEIGHT_PRECISIONS),
  /** Of keys and values. */
  kv: choice('PREAMBLE_KV', undefined, KV_PRECISIONS),
  /** Sequences that decode together. */
  slots: integer('PREAMBLE_SLOTS', 32, 1, 1024),
  /** Threads inside one step. */
  threads: variable('PREAMBLE_THREADS', () => physicalCores(), parseInteger(1, 1024)),
  /** Whether threads that wait for the next operator spin. */
  spin: choice('PREAMBLE_SPIN', 'on', ['on', 'off']),
  logLevel: choice('PREAMBLE_LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  /** Sequences that may wait for a slot. */
  maxWaitingRequests: integer('PREAMBLE_MAX_WAITING_REQUESTS', 1024, 1, 1_000_000),
  /** Prompt and generated tokens that the waiting sequences may ask for together. */
  maxWaitingTokens: integer('PREAMBLE_MAX_WAITING_TOKENS', 1_048_576, 1, 1_000_000_000),
  /** Prompt tokens that share one step with the decoding rows; twice as many where nothing decodes. */
  maxChunkTokens: integer('PREAMBLE_MAX_CHUNK_TOKENS', 32, 1, 65_536),
  /** Choices of one request: prompts times `n`. */
  maxChoices: integer('PREAMBLE_MAX_CHOICES', 256, 1, 65_536),
  maxBatchItems: integer('PREAMBLE_MAX_BATCH_ITEMS', 256, 1, 65_536),
  /** Bytes of a JSON body. */
  maxBodyBytes: integer('PREAMBLE_MAX_BODY_BYTES', 4 * MiB, 1024, 1024 * MiB),
  /** Bytes of one uploaded prefix. */
  maxUploadBytes: integer('PREAMBLE_MAX_UPLOAD_BYTES', 128 * MiB, 1024, 2047 * MiB),
  /** How long a client may take to send the headers of a request. */
  headersTimeoutSeconds: integer('PREAMBLE_HEADERS_TIMEOUT_SECONDS', 30, 1, 3600),
  /** How long a client may take to send a whole request, uploads among them. */
  requestTimeoutSeconds: integer('PREAMBLE_REQUEST_TIMEOUT_SECONDS', 300, 1, 86_400),
  /** How long a connection without a request stays open; longer than a proxy in front keeps it. */
  keepAliveSeconds: integer('PREAMBLE_KEEP_ALIVE_SECONDS', 75, 1, 3600),
  /** Virtual tokens of one prefix; by default half of the model's context. */
  maxVirtualTokens: variable(
    'PREAMBLE_MAX_VIRTUAL_TOKENS',
    () => undefined as number | undefined,
    parseInteger(1, 65_536),
  ),
  /** Decoded keys and values kept in memory. */
  prefixCacheBytes: integer('PREAMBLE_PREFIX_CACHE_BYTES', 512 * MiB, 0, Number.MAX_SAFE_INTEGER),
  /** Keys and values of prompts kept for later requests of the same tenant under the same prefix; 0 is off. */
  promptCacheBytes: integer('PREAMBLE_PROMPT_CACHE_BYTES', 0, 0, Number.MAX_SAFE_INTEGER),
  /** Prefixes that are loaded from the store at the same time. */
  maxColdLoads: integer('PREAMBLE_MAX_COLD_LOADS', 4, 1, 1024),
  /** Limits of a tenant that has none of its own; see `tenantDefaults`. */
  tenantWeight: variable('PREAMBLE_TENANT_WEIGHT', () => 1, parseNumber(MAX_WEIGHT)),
  requestsPerMinute: variable('PREAMBLE_REQUESTS_PER_MINUTE', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  tokensPerMinute: variable('PREAMBLE_TOKENS_PER_MINUTE', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  maxPrefixes: variable('PREAMBLE_MAX_PREFIXES', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  maxPrefixBytes: variable('PREAMBLE_MAX_PREFIX_BYTES', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  queueShare: variable('PREAMBLE_QUEUE_SHARE', noLimit, parseNumber(1)),
  /** Fine-tuning jobs that this process trains at the same time. */
  tuningWorkers: integer('PREAMBLE_TUNING_WORKERS', 1, 0, 64),
  /** Threads of one of them. */
  tuningThreads: variable('PREAMBLE_TUNING_THREADS', () => physicalCores(), parseInteger(1, 1024)),
  /** How far behind serving they stand: 19 is all the way. */
  tuningNice: integer('PREAMBLE_TUNING_NICE', 19, 0, 19),
  /** How long one job trains: then it ends with the best that it has. */
  tuningMaxSeconds: integer('PREAMBLE_TUNING_MAX_SECONDS', 86_400, 1, 31_536_000),
  /** On Redis, a job whose worker was not heard of for so long goes to another. */
  tuningLostSeconds: integer('PREAMBLE_TUNING_LOST_SECONDS', 30, 2, 3600),
  /** Bytes of one file of training data. */
  maxTrainingFileBytes: integer('PREAMBLE_MAX_TRAINING_FILE_BYTES', 32 * MiB, 1024, 1024 * MiB),
  /** Files that a tenant may keep, and their bytes together. */
  maxTrainingFiles: integer('PREAMBLE_MAX_TRAINING_FILES', 100, 0, 100_000),
  maxTrainingBytes: integer('PREAMBLE_MAX_TRAINING_BYTES', 256 * MiB, 0, Number.MAX_SAFE_INTEGER),
  /** Fine-tuning jobs of a tenant that are queued or running. */
  maxTuningJobs: integer('PREAMBLE_MAX_TUNING_JOBS', 16, 0, 10_000),
  /** How long requests are still accepted after SIGTERM, while `/readyz` says already that the server leaves. */
  lameDuckSeconds: integer('PREAMBLE_LAME_DUCK_SECONDS', 0, 0, 3600),
  /** How long accepted requests may take to finish once no more are accepted. */
  drainSeconds: integer('PREAMBLE_DRAIN_SECONDS', 30, 0, 86_400),
  /** Where traces go: OpenTelemetry's variables, whose names and meanings are the standard's. */
  otlpEndpoint: variable('OTEL_EXPORTER_OTLP_ENDPOINT', () => undefined as string | undefined, httpUrl),
  tracesEndpoint: variable('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', () => undefined as string | undefined, httpUrl),
  otlpProtocol: choice('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf', OTLP_PROTOCOLS),
  tracesProtocol: choice('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', undefined, OTLP_PROTOCOLS),
  tracesExporter: choice('OTEL_TRACES_EXPORTER', 'otlp', ['otlp', 'none']),
  otelDisabled: variable('OTEL_SDK_DISABLED', () => false, parseBoolean),
  tracesSampler: choice('OTEL_TRACES_SAMPLER', 'parentbased_always_on', SAMPLERS),
  tracesSamplerArg: variable('OTEL_TRACES_SAMPLER_ARG', () => 1, parseRatio),
};

type Variables = typeof variables;

export interface Precisions {
  readonly weights: WeightPrecision;
  readonly kv: KvPrecision;
}

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
  refuseSharedKey(config);
  refusePrecision(config);
  return Object.freeze(config);
}

/** One setting as it is in effect. The value may be a secret. */
export interface SettingInEffect {
  readonly variable: string;
  readonly key: keyof Config;
  readonly value: Config[keyof Config];
  /** Whether the environment sets it. */
  readonly isSet: boolean;
}

/** Every setting of a configuration that was read from `env`, in the order of the documents. */
export function settingsInEffect(config: Config, env: NodeJS.ProcessEnv = process.env): SettingInEffect[] {
  return (Object.keys(variables) as (keyof Config)[]).map((key) => {
    const variable = variables[key].name;
    return { variable, key, value: config[key], isSet: (env[variable] ?? '') !== '' };
  });
}

/** The key a client on this machine may use: that of the first pair in PREAMBLE_API_KEYS. */
export function readClientKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return readVariable(variables.apiKeys, env, { cwd: process.cwd() })[0]?.key;
}

/** PREAMBLE_ADMIN_KEY, for a client on this machine. */
export function readAdminKey(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return readVariable(variables.adminKey, env, { cwd: process.cwd() });
}

/** Whether requests need a key: there are some, or there may be. */
export function needsKey({ apiKeys, adminKey }: Pick<Config, 'apiKeys' | 'adminKey'>): boolean {
  return apiKeys.length > 0 || adminKey !== undefined;
}

/** The limits of a tenant that has none of its own. Where there are several, none fills the queue alone. */
export function tenantDefaults(config: Config): TenantLimits {
  const { requestsPerMinute, tokensPerMinute, maxPrefixes, maxPrefixBytes } = config;
  const queueShare = config.queueShare ?? (needsKey(config) ? 0.5 : null);
  return { weight: config.tenantWeight, requestsPerMinute, tokensPerMinute, maxPrefixes, maxPrefixBytes, queueShare };
}

/**
 * Reads where prefixes live, from a command line.
 * @throws ConfigError naming `argument`
 */
export function parseStore(argument: string, given: string): StoreLocation {
  try {
    return store(given, { cwd: process.cwd() });
  } catch (error) {
    throw new ConfigError(argument, (error as Error).message);
  }
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

function refuseOpenListener(config: Config): void {
  if (needsKey(config) || isLoopback(config.host)) return;
  const problem = `'${config.host}' is not a loopback address; set PREAMBLE_API_KEYS or PREAMBLE_ADMIN_KEY to listen there`;
  throw new ConfigError('HOST', problem);
}

/** Whoever had the one would have the other. */
function refuseSharedKey({ adminKey, apiKeys }: Config): void {
  if (apiKeys.every(({ key }) => key !== adminKey)) return;
  throw new ConfigError('PREAMBLE_ADMIN_KEY', 'this key is in PREAMBLE_API_KEYS too');
}

/** What weights, keys and values are kept in: a device has float16 unless told otherwise, the CPU float32. */
export function precisions({ provider, weights, kv }: Pick<Config, 'provider' | 'weights' | 'kv'>): Precisions {
  const fallback = provider === 'cpu' ? 'float32' : 'float16';
  return { weights: weights ?? fallback, kv: kv ?? fallback };
}

/** What would cost more than it gains, or was never measured. */
function refusePrecision({ weights, kv, provider }: Config): void {
  const onCpu = provider === 'cpu';
  if (weights === 'float16' && onCpu) {
    const problem = "'float16' is for cuda and webgpu: on the cpu it is no faster than float32 and takes more memory";
    throw new ConfigError('PREAMBLE_WEIGHTS', problem);
  }
  if (kv === 'float32' && provider === 'cuda') {
    throw new ConfigError('PREAMBLE_KV', "'float32' is not for cuda: ONNX Runtime's attention has float16 only there");
  }
  if ((weights === 'int8' || weights === 'int4') && !onCpu) {
    throw new ConfigError('PREAMBLE_WEIGHTS', `'${weights}' is for the cpu, and PREAMBLE_PROVIDER is ${provider}`);
  }
}

function variable<T>(name: string, fallback: () => T, parse: Variable<T>['parse']): Variable<T> {
  return { name, fallback, parse };
}

function integer(name: string, fallback: number, min: number, max: number): Variable<number> {
  return variable(name, () => fallback, parseInteger(min, max));
}

function choice<const T extends string, F extends T | undefined>(
  name: string,
  fallback: F,
  values: readonly T[],
): Variable<T | F> {
  return variable<T | F>(
    name,
    () => fallback,
    (given) => {
      const value = values.find((candidate) => candidate === given);
      if (!value) throw new Error(`'${given}' is none of ${values.join(', ')}`);
      return value;
    },
  );
}

function noLimit(): number | null {
  return null;
}

function findPackageRoot(from: string): string {
  if (existsSync(resolve(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${basename(from)}`);
  return findPackageRoot(parent);
}
