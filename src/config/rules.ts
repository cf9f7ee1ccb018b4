import { isLoopback } from '../lib/loopback.js';
import type { Int8Form, KvPrecision, WeightPrecision } from '../model/precision.js';
import type { TenantLimits } from '../tenancy/limits.js';
import { ConfigError } from './error.js';
import { int8Form } from './processor.js';
import type { Config, Settings } from './variables.js';

// Rules over several settings: values that depend on others, and combinations that are refused.

/** Element types of weights, and of keys and values. */
export interface Precisions {
  readonly weights: WeightPrecision;
  readonly kv: KvPrecision;
  /** The form that 8-bit weights have on this processor. */
  readonly int8: Int8Form;
}

/** Whether requests need a key: the settings have keys, or an operator may make some. */
export function needsKey({ apiKeys, adminKey }: Pick<Config, 'apiKeys' | 'adminKey'>): boolean {
  return apiKeys.length > 0 || adminKey !== undefined;
}

/** The limits of a tenant that has none of its own. Where there may be several tenants, none may fill the whole queue. */
export function tenantDefaults(config: Settings<'tenants'>): TenantLimits {
  const { requestsPerMinute, tokensPerMinute, maxPrefixes, maxPrefixBytes } = config;
  const queueShare = config.queueShare ?? (needsKey(config) ? 0.5 : null);
  return { weight: config.tenantWeight, requestsPerMinute, tokensPerMinute, maxPrefixes, maxPrefixBytes, queueShare };
}

/** The precisions in effect. Unless set, they are float32 on the CPU and float16 on a device. */
export function precisions({ provider, weights, kv }: Pick<Config, 'provider' | 'weights' | 'kv'>): Precisions {
  const fallback = provider === 'cpu' ? 'float32' : 'float16';
  return { weights: weights ?? fallback, kv: kv ?? fallback, int8: int8Form() };
}

/**
 * Checks settings against each other. Settings that were not read are not checked.
 * @throws ConfigError
 */
export function checkRules(settings: Partial<Config>): void {
  const { host, allowedOrigins, apiKeys, adminKey, provider, weights, kv } = settings;
  refuseTlsFiles(settings);
  if (apiKeys !== undefined) refuseSharedKey({ apiKeys, adminKey });
  if (apiKeys !== undefined && host !== undefined) refuseOpenListener({ host, apiKeys, adminKey });
  if (apiKeys !== undefined && allowedOrigins !== undefined) refuseAnyOrigin({ allowedOrigins, apiKeys, adminKey });
  if (provider !== undefined) refusePrecision({ provider, weights, kv });
}

/** Refuses a client certificate without its key, a key alone, and TLS for a store that has none. */
function refuseTlsFiles({ store, storeCa, storeCert, storeKey }: Partial<Config>): void {
  const given = { PREAMBLE_STORE_CA: storeCa, PREAMBLE_STORE_CERT: storeCert, PREAMBLE_STORE_KEY: storeKey };
  const [first] = Object.entries(given).flatMap(([variable, file]) => (file === undefined ? [] : [variable]));
  if (first === undefined) return;
  const isTls = store === undefined || (store.kind === 'redis' && store.url.startsWith('rediss:'));
  if (!isTls) throw new ConfigError(first, 'this is for a PREAMBLE_STORE that begins with rediss://');
  if (storeKey === undefined && storeCert !== undefined)
    throw new ConfigError('PREAMBLE_STORE_CERT', 'PREAMBLE_STORE_KEY must be set too');
  if (storeCert === undefined && storeKey !== undefined)
    throw new ConfigError('PREAMBLE_STORE_KEY', 'PREAMBLE_STORE_CERT must be set too');
}

function refuseOpenListener(config: Pick<Config, 'host' | 'apiKeys' | 'adminKey'>): void {
  if (needsKey(config) || isLoopback(config.host)) return;
  const problem = `'${config.host}' is not a loopback address; set PREAMBLE_API_KEYS or PREAMBLE_ADMIN_KEY to listen there`;
  throw new ConfigError('HOST', problem);
}

/** Without keys, `*` would let every web page do everything. */
function refuseAnyOrigin(config: Pick<Config, 'allowedOrigins' | 'apiKeys' | 'adminKey'>): void {
  if (needsKey(config) || !config.allowedOrigins.includes('*')) return;
  const problem = "'*' needs PREAMBLE_API_KEYS or PREAMBLE_ADMIN_KEY: without keys every web page could do everything";
  throw new ConfigError('PREAMBLE_ALLOWED_ORIGINS', problem);
}

/** The operator's key must not also be a tenant's. */
function refuseSharedKey({ adminKey, apiKeys }: Pick<Config, 'apiKeys' | 'adminKey'>): void {
  if (apiKeys.every(({ key }) => key !== adminKey)) return;
  throw new ConfigError('PREAMBLE_ADMIN_KEY', 'this key is in PREAMBLE_API_KEYS too');
}

/** Refuses precisions that cost more than they gain, or that the provider cannot compute. */
function refusePrecision({ weights, kv, provider }: Pick<Config, 'provider' | 'weights' | 'kv'>): void {
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
