import { resolve } from 'node:path';

import { KV_PRECISIONS, WEIGHT_PRECISIONS } from '../model/precision.js';
import { MAX_WEIGHT } from '../tenancy/limits.js';
import type { ApiKey } from '../tenancy/static-keys.js';
import { physicalCores } from './cores.js';
import {
  adminKey,
  apiKeys,
  fileStore,
  hostNames,
  httpUrl,
  modelName,
  parseBoolean,
  parseInteger,
  parseNumber,
  parseRatio,
  path,
  store as storeLocation,
  text,
  webOrigins,
} from './parsers.js';
import { bundledModel, packageRoot, defaultStoreDirectory } from './paths.js';
import { choice, integer, variable, type Variable } from './variable.js';

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

/** Address, who may use it from a browser, timeouts, and limits of one request. */
const http = {
  host: variable('HOST', () => '127.0.0.1', text),
  port: integer('PORT', 8000, 0, 65_535),
  /** Hosts beside this machine that a server without keys answers to, lower-cased, IPv6 in brackets. */
  allowedHosts: variable('PREAMBLE_ALLOWED_HOSTS', () => [] as readonly string[], hostNames),
  /** Origins whose web pages may use the server; `*` is every one, and then alone. */
  allowedOrigins: variable('PREAMBLE_ALLOWED_ORIGINS', () => [] as readonly string[], webOrigins),
  /** Whether the console is served at `/console/`. */
  console: choice('PREAMBLE_CONSOLE', 'on', ['on', 'off']),
  /** Choices of one request: prompts times `n`. */
  maxChoices: integer('PREAMBLE_MAX_CHOICES', 256, 1, 65_536),
  /** Requests in one call of `/v1/batch/completions`. */
  maxBatchItems: integer('PREAMBLE_MAX_BATCH_ITEMS', 256, 1, 65_536),
  /** Bytes of a JSON body. */
  maxBodyBytes: integer('PREAMBLE_MAX_BODY_BYTES', 4 * MiB, 1024, 1024 * MiB),
  /** Bytes of one uploaded prefix. */
  maxUploadBytes: integer('PREAMBLE_MAX_UPLOAD_BYTES', 128 * MiB, 1024, 2047 * MiB),
  /** How long a client may take to send the headers of a request. */
  headersTimeoutSeconds: integer('PREAMBLE_HEADERS_TIMEOUT_SECONDS', 30, 1, 3600),
  /** How long a client may take to send a whole request, uploads among them. */
  requestTimeoutSeconds: integer('PREAMBLE_REQUEST_TIMEOUT_SECONDS', 300, 1, 86_400),
  /** How long a connection without a request stays open. A proxy in front must close its connections earlier. */
  keepAliveSeconds: integer('PREAMBLE_KEEP_ALIVE_SECONDS', 75, 1, 3600),
  /** How long requests are accepted after SIGTERM, while `/readyz` already answers 503. */
  lameDuckSeconds: integer('PREAMBLE_LAME_DUCK_SECONDS', 0, 0, 3600),
  /** How long accepted requests may take to finish once no more are accepted. */
  drainSeconds: integer('PREAMBLE_DRAIN_SECONDS', 30, 0, 86_400),
};

/** The model, its compiled files, and the hardware that computes it. */
const model = {
  /** A Hugging Face GPT-2, BART, Llama, Mistral or Qwen directory, or a compiled one. */
  model: variable('PREAMBLE_MODEL', () => bundledModel, path),
  modelName: variable('PREAMBLE_MODEL_NAME', () => undefined as string | undefined, modelName),
  cache: variable('PREAMBLE_CACHE', () => resolve(packageRoot, 'models/.cache'), path),
  provider: choice('PREAMBLE_PROVIDER', 'cpu', ['cpu', 'cuda', 'webgpu']),
  /** Precision of weights; undefined: the provider's default (`precisions`). */
  weights: choice('PREAMBLE_WEIGHTS', undefined, WEIGHT_PRECISIONS),
  /** Precision of keys and values; undefined: the provider's default. */
  kv: choice('PREAMBLE_KV', undefined, KV_PRECISIONS),
  /** Sequences that are computed together. */
  slots: integer('PREAMBLE_SLOTS', 32, 1, 1024),
  /** Positions of a sequence; by default all that the model has. */
  maxModelLength: variable('PREAMBLE_MAX_MODEL_LEN', () => undefined as number | undefined, parseInteger(2, 2 ** 24)),
  /** Threads inside one step. */
  threads: variable('PREAMBLE_THREADS', () => physicalCores(), parseInteger(1, 1024)),
  /** Whether threads that wait for the next operator spin. */
  spin: choice('PREAMBLE_SPIN', 'on', ['on', 'off']),
  /** Virtual tokens of one prefix; by default half of the model's context. */
  maxVirtualTokens: variable(
    'PREAMBLE_MAX_VIRTUAL_TOKENS',
    () => undefined as number | undefined,
    parseInteger(1, 65_536),
  ),
};

/** Limits of the waiting queue and of one step. */
const engine = {
  /** Sequences that may wait for a slot. */
  maxWaitingRequests: integer('PREAMBLE_MAX_WAITING_REQUESTS', 1024, 1, 1_000_000),
  /** Prompt tokens and `max_tokens` of all waiting sequences together. */
  maxWaitingTokens: integer('PREAMBLE_MAX_WAITING_TOKENS', 1_048_576, 1, 1_000_000_000),
  /** Prompt tokens in one step with decode rows; twice as many if there are none. */
  maxChunkTokens: integer('PREAMBLE_MAX_CHUNK_TOKENS', 32, 1, 65_536),
  /** Keys and values of prompts kept for later requests of the same tenant under the same prefix; 0: off. */
  promptCacheBytes: integer('PREAMBLE_PROMPT_CACHE_BYTES', 0, 0, Number.MAX_SAFE_INTEGER),
  /** Whether steps verify drafts of what comes next. */
  speculate: choice('PREAMBLE_SPECULATE', 'on', ['on', 'off']),
  /** Tables that drafts are made from, of all prefixes together; 0: a text is drafted from itself alone. */
  draftTableBytes: integer('PREAMBLE_DRAFT_TABLE_BYTES', 64 * 2 ** 20, 0, Number.MAX_SAFE_INTEGER),
};

/** The store, and the prefixes in memory. */
const store = {
  store: variable('PREAMBLE_STORE', () => fileStore(defaultStoreDirectory), storeLocation),
  /** Which tenants are given the bundled prefixes (`seededTenants`). */
  seedPrefixes: choice('PREAMBLE_SEED_PREFIXES', 'auto', ['auto', 'on', 'off']),
  /** Decoded keys and values kept in memory. */
  prefixCacheBytes: integer('PREAMBLE_PREFIX_CACHE_BYTES', 512 * MiB, 0, Number.MAX_SAFE_INTEGER),
  /** Prefixes that are loaded from the store at the same time. */
  maxColdLoads: integer('PREAMBLE_MAX_COLD_LOADS', 4, 1, 1024),
};

/** How this process and a Redis behind `rediss://` know each other. All are files of PEM. */
const storeTls = {
  /** Authorities that are trusted instead of those that Node.js trusts. */
  storeCa: variable('PREAMBLE_STORE_CA', () => undefined as string | undefined, path),
  /** The client's certificate. */
  storeCert: variable('PREAMBLE_STORE_CERT', () => undefined as string | undefined, path),
  storeKey: variable('PREAMBLE_STORE_KEY', () => undefined as string | undefined, path),
};

/** Keys, and limits of a tenant that has none of its own (`tenantDefaults`). */
const tenants = {
  apiKeys: variable('PREAMBLE_API_KEYS', () => [] as readonly ApiKey[], apiKeys),
  /** Key of the operator; it turns on `/v1/admin/*`. */
  adminKey: variable('PREAMBLE_ADMIN_KEY', () => undefined as string | undefined, adminKey),
  tenantWeight: variable('PREAMBLE_TENANT_WEIGHT', () => 1, parseNumber(MAX_WEIGHT)),
  requestsPerMinute: variable('PREAMBLE_REQUESTS_PER_MINUTE', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  tokensPerMinute: variable('PREAMBLE_TOKENS_PER_MINUTE', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  maxPrefixes: variable('PREAMBLE_MAX_PREFIXES', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  maxPrefixBytes: variable('PREAMBLE_MAX_PREFIX_BYTES', noLimit, parseInteger(0, Number.MAX_SAFE_INTEGER)),
  queueShare: variable('PREAMBLE_QUEUE_SHARE', noLimit, parseNumber(1)),
};

/** Fine-tuning jobs and their files. */
const tuning = {
  /** Fine-tuning jobs that this process trains at the same time. */
  tuningWorkers: integer('PREAMBLE_TUNING_WORKERS', 1, 0, 64),
  /** Threads of one job. */
  tuningThreads: variable('PREAMBLE_TUNING_THREADS', () => physicalCores(), parseInteger(1, 1024)),
  /** Nice value of jobs. With 19, serving goes first. */
  tuningNice: integer('PREAMBLE_TUNING_NICE', 19, 0, 19),
  /** Longest training time of one job, which then ends with its best prefix so far. */
  tuningMaxSeconds: integer('PREAMBLE_TUNING_MAX_SECONDS', 86_400, 1, 31_536_000),
  /** How long a worker on Redis may be silent before another takes its job. */
  tuningLostSeconds: integer('PREAMBLE_TUNING_LOST_SECONDS', 30, 2, 3600),
  /** Bytes of one file of training data. */
  maxTrainingFileBytes: integer('PREAMBLE_MAX_TRAINING_FILE_BYTES', 32 * MiB, 1024, 1024 * MiB),
  /** Files that a tenant may keep. */
  maxTrainingFiles: integer('PREAMBLE_MAX_TRAINING_FILES', 100, 0, 100_000),
  /** Bytes of a tenant's files together. */
  maxTrainingBytes: integer('PREAMBLE_MAX_TRAINING_BYTES', 1024 * MiB, 0, Number.MAX_SAFE_INTEGER),
  /** Fine-tuning jobs of a tenant that are queued or running. */
  maxTuningJobs: integer('PREAMBLE_MAX_TUNING_JOBS', 16, 0, 10_000),
};

/** Batches and their files. */
const batches = {
  /** Batches that this process does at the same time. */
  batchWorkers: integer('PREAMBLE_BATCH_WORKERS', 16, 0, 1024),
  /** Requests that are under way, over all of them; undefined: twice the slots. */
  batchWindow: variable('PREAMBLE_BATCH_WINDOW', () => undefined as number | undefined, parseInteger(1, 65_536)),
  /** How long a server on Redis may be silent before another takes its batches. */
  batchLostSeconds: integer('PREAMBLE_BATCH_LOST_SECONDS', 30, 2, 3600),
  /** Bytes of one file of requests. */
  maxBatchFileBytes: integer('PREAMBLE_MAX_BATCH_FILE_BYTES', 200 * MiB, 1024, 1024 * MiB),
  /** Requests in one file. */
  maxBatchLines: integer('PREAMBLE_MAX_BATCH_LINES', 50_000, 1, 10_000_000),
  /** Bytes of one request. */
  maxBatchLineBytes: integer('PREAMBLE_MAX_BATCH_LINE_BYTES', MiB, 1024, 64 * MiB),
  /** Batches of a tenant that are queued or running. */
  maxBatches: integer('PREAMBLE_MAX_BATCHES', 16, 0, 10_000),
};

/** Traces. Names and meanings of these variables are OpenTelemetry's. */
const traces = {
  otlpEndpoint: variable('OTEL_EXPORTER_OTLP_ENDPOINT', () => undefined as string | undefined, httpUrl),
  tracesEndpoint: variable('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', () => undefined as string | undefined, httpUrl),
  otlpProtocol: choice('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf', OTLP_PROTOCOLS),
  tracesProtocol: choice('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', undefined, OTLP_PROTOCOLS),
  tracesExporter: choice('OTEL_TRACES_EXPORTER', 'otlp', ['otlp', 'none']),
  otelDisabled: variable('OTEL_SDK_DISABLED', () => false, parseBoolean),
  tracesSampler: choice('OTEL_TRACES_SAMPLER', 'parentbased_always_on', SAMPLERS),
  tracesSamplerArg: variable('OTEL_TRACES_SAMPLER_ARG', () => 1, parseRatio),
};

/** The log of a process that serves or trains. */
const log = {
  logLevel: choice('PREAMBLE_LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
};

/** Every variable, by the groups that commands read. */
export const groups = { http, model, engine, store, storeTls, tenants, tuning, batches, traces, log };

export type SettingGroup = keyof typeof groups;

/** Every variable, in the order of the groups. */
export const variables = {
  ...http,
  ...model,
  ...engine,
  ...store,
  ...storeTls,
  ...tenants,
  ...tuning,
  ...batches,
  ...traces,
  ...log,
};

/** Every setting of the server, read once and frozen. */
export type Config = { readonly [K in keyof typeof variables]: ValueOf<(typeof variables)[K]> };

/** The settings of some groups. */
export type Settings<G extends SettingGroup> = Pick<Config, NamesIn<G>>;

type ValueOf<V> = V extends Variable<infer T> ? T : never;
type NamesIn<G> = G extends SettingGroup ? keyof (typeof groups)[G] & keyof Config : never;

function noLimit(): number | null {
  return null;
}
