import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { readConfig } from '../../src/config/config.js';
import { ConfigError } from '../../src/config/error.js';
import { packageRoot } from '../../src/config/paths.js';
import { tenantDefaults, precisions } from '../../src/config/rules.js';
import { physicalCores } from '../../src/config/cores.js';
import { NO_LIMITS } from '../../src/tenancy/limits.js';

describe('readConfig', () => {
  it('has the defaults of the contract', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      allowedHosts: [],
      allowedOrigins: [],
      model: resolve(packageRoot, 'models/preamble-demo'),
      modelName: undefined,
      store: { kind: 'file', directory: resolve(packageRoot, 'prefixes') },
      apiKeys: [],
      provider: 'cpu',
      weights: undefined,
      kv: undefined,
      slots: 32,
      maxModelLength: undefined,
      threads: physicalCores(),
      logLevel: 'info',
      lameDuckSeconds: 0,
      drainSeconds: 30,
      maxBatchItems: 256,
      speculate: 'on',
      draftTableBytes: 64 * 2 ** 20,
    });
  });

  it('reads whether there is a console', () => {
    expect(readConfig({}).console).toBe('on');
    expect(readConfig({ PREAMBLE_CONSOLE: 'off' }).console).toBe('off');
    expect(() => readConfig({ PREAMBLE_CONSOLE: 'no' })).toThrow(/PREAMBLE_CONSOLE/);
  });

  it('reads whether drafts are made, and from how much', () => {
    const env = { PREAMBLE_SPECULATE: 'off', PREAMBLE_DRAFT_TABLE_BYTES: '0' };
    expect(readConfig(env)).toMatchObject({ speculate: 'off', draftTableBytes: 0 });
    expect(() => readConfig({ PREAMBLE_SPECULATE: 'no' })).toThrow(/PREAMBLE_SPECULATE/);
    expect(() => readConfig({ PREAMBLE_DRAFT_TABLE_BYTES: '-1' })).toThrow(/PREAMBLE_DRAFT_TABLE_BYTES/);
  });

  it('reads how batches are done, and zero workers', () => {
    expect(readConfig({})).toMatchObject({
      batchWorkers: 16,
      batchWindow: undefined,
      maxBatchLines: 50_000,
      maxBatchFileBytes: 200 * 2 ** 20,
    });
    const env = { PREAMBLE_BATCH_WORKERS: '0', PREAMBLE_BATCH_WINDOW: '7', PREAMBLE_MAX_BATCHES: '0' };
    expect(readConfig(env)).toMatchObject({ batchWorkers: 0, batchWindow: 7, maxBatches: 0 });
    expect(() => readConfig({ PREAMBLE_BATCH_WINDOW: '0' })).toThrow(/PREAMBLE_BATCH_WINDOW/);
    expect(() => readConfig({ PREAMBLE_MAX_BATCH_LINES: '-1' })).toThrow(/PREAMBLE_MAX_BATCH_LINES/);
  });

  it('resolves the user’s relative paths against the working directory', () => {
    const config = readConfig({ PREAMBLE_MODEL: 'm', PREAMBLE_CACHE: '../c', PREAMBLE_STORE: 'file:p' }, '/srv/here');
    expect(config).toMatchObject({
      model: '/srv/here/m',
      cache: '/srv/c',
      store: { kind: 'file', directory: '/srv/here/p' },
    });
  });

  it('takes an empty variable as absent and zero as a value', () => {
    expect(readConfig({ PORT: '0', HOST: '', PREAMBLE_DRAIN_SECONDS: '0' })).toMatchObject({
      port: 0,
      host: '127.0.0.1',
      drainSeconds: 0,
    });
  });

  it('reads keys, several a tenant', () => {
    expect(readConfig({ PREAMBLE_API_KEYS: 'a=one, b=two=2,a=three' }).apiKeys).toEqual([
      { tenant: 'a', key: 'one' },
      { tenant: 'b', key: 'two=2' },
      { tenant: 'a', key: 'three' },
    ]);
  });

  it('reads hosts and origins, as browsers write them', () => {
    expect(readConfig({ PREAMBLE_ALLOWED_HOSTS: 'Preamble.Example, 10.0.0.5,[fd00::1]' }).allowedHosts).toEqual([
      'preamble.example',
      '10.0.0.5',
      '[fd00::1]',
    ]);
    const origins = ['https://app.example', 'http://localhost:5173', 'http://[::1]:3000', 'chrome-extension://abc'];
    expect(readConfig({ PREAMBLE_ALLOWED_ORIGINS: origins.join(', ') }).allowedOrigins).toEqual(origins);
  });

  it('lets every origin in with keys only', () => {
    const every = { PREAMBLE_ALLOWED_ORIGINS: '*' };
    expect(readConfig({ ...every, PREAMBLE_API_KEYS: 'a=k' }).allowedOrigins).toEqual(['*']);
    expect(readConfig({ ...every, PREAMBLE_ADMIN_KEY: 'k'.repeat(16) }).allowedOrigins).toEqual(['*']);
    expect(() => readConfig(every)).toThrow(/^PREAMBLE_ALLOWED_ORIGINS: '\*' needs PREAMBLE_API_KEYS/);
  });

  it('names a bad host or origin by its number, because it may hold a password', () => {
    const url = 'https://user:sekret@app.example';
    const bad = { PREAMBLE_ALLOWED_HOSTS: `a,${url}`, PREAMBLE_ALLOWED_ORIGINS: `https://a.example,${url}` };
    for (const [name, value] of Object.entries(bad))
      expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name}: entry 2 (?!.*sekret)`));
  });

  it('is frozen', () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true);
  });

  it.each([
    ['PORT', '65536'],
    ['PORT', '80a'],
    ['PREAMBLE_ALLOWED_HOSTS', 'preamble.example,'],
    ['PREAMBLE_ALLOWED_HOSTS', '*'],
    ['PREAMBLE_ALLOWED_HOSTS', 'http://preamble.example'],
    ['PREAMBLE_ALLOWED_HOSTS', 'preamble.example:8000'],
    ['PREAMBLE_ALLOWED_HOSTS', '::1'],
    ['PREAMBLE_ALLOWED_ORIGINS', ','],
    ['PREAMBLE_ALLOWED_ORIGINS', 'null'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'app.example'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'https://app.example/'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'https://app.example:443'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'https://App.example'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'https://*.example'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'https://app.example,*'],
    ['PREAMBLE_ALLOWED_ORIGINS', 'file://'],
    ['PREAMBLE_SLOTS', '0'],
    ['PREAMBLE_SLOTS', '-1'],
    ['PREAMBLE_SLOTS', '1.5'],
    ['PREAMBLE_SLOTS', '1e3'],
    ['PREAMBLE_MAX_MODEL_LEN', '0'],
    ['PREAMBLE_MAX_MODEL_LEN', '1'],
    ['PREAMBLE_MAX_MODEL_LEN', 'null'],
    ['PREAMBLE_MAX_MODEL_LEN', '4096.5'],
    ['PREAMBLE_THREADS', 'many'],
    ['PREAMBLE_LOG_LEVEL', 'loud'],
    ['PREAMBLE_PROVIDER', 'tpu'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_SDK_DISABLED', 'yes'],
    ['OTEL_TRACES_SAMPLER', 'xray'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['PREAMBLE_WEIGHTS', 'int2'],
    ['PREAMBLE_WEIGHTS', 'float16'],
    ['PREAMBLE_KV', 'int8'],
    ['PREAMBLE_STORE', 'prefixes'],
    ['PREAMBLE_STORE', 'file:'],
    ['PREAMBLE_STORE', 'redis://'],
    ['PREAMBLE_STORE', 'rediss:'],
    ['PREAMBLE_STORE', 'redis://127.0.0.1:6379/abc'],
    ['PREAMBLE_STORE', 'redis://127.0.0.1:6379/1/2'],
    ['PREAMBLE_STORE', 'file:p?x'],
    ['PREAMBLE_STORE', 'file:p#x'],
    ['PREAMBLE_STORE', 'file://host/p'],
    ['PREAMBLE_STORE', 'file://'],
    ['PREAMBLE_STORE_CA', 'ca.pem'],
    ['PREAMBLE_STORE_CERT', 'client.pem'],
    ['PREAMBLE_STORE_KEY', 'client.key'],
    ['PREAMBLE_API_KEYS', 'just-a-key'],
    ['PREAMBLE_API_KEYS', 'a=k,'],
    ['PREAMBLE_API_KEYS', '../up=k'],
    ['PREAMBLE_API_KEYS', 'a=same,b=same'],
    ['PREAMBLE_ADMIN_KEY', 'secret'],
    ['PREAMBLE_ADMIN_KEY', 'sixteen letters and spaces'],
    ['PREAMBLE_TENANT_WEIGHT', '0'],
    ['PREAMBLE_TENANT_WEIGHT', '1001'],
    ['PREAMBLE_REQUESTS_PER_MINUTE', '-1'],
    ['PREAMBLE_TOKENS_PER_MINUTE', '1.5'],
    ['PREAMBLE_MAX_PREFIXES', 'none'],
    ['PREAMBLE_MAX_PREFIX_BYTES', '1e3'],
    ['PREAMBLE_QUEUE_SHARE', '0'],
    ['PREAMBLE_QUEUE_SHARE', '1.1'],
    ['PREAMBLE_MODEL_NAME', 'a@b'],
    ['PREAMBLE_MODLE', 'x'],
    ['HOST', '0.0.0.0'],
    ['HOST', 'example.org'],
  ])('refuses %s=%s by name', (name, value) => {
    const read = (): unknown => readConfig({ [name]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^${name}: `));
  });

  it.each([
    ['?db=3', '', 'the URL has a query: a database is written /3'],
    ['?connectTimeout=1', '', 'the URL has a query'],
    ['/0?tls=true', '', 'the URL has a query'],
    ['#x', '', 'the URL has a fragment'],
    ['/abc', '', 'the path is not the number of a database'],
    ['/1.5', '', 'the path is not the number of a database'],
    ['/-1', '', 'the path is not the number of a database'],
    ['/1234567890', '', 'the path is not the number of a database'],
    [':0', '', 'the port is not from 1 to 65535'],
    [':65536', '', 'the port is not from 1 to 65535'],
    [':six', '', 'the port is not from 1 to 65535'],
    ['', '%zz', 'user or password has a % that is not written %25'],
    ['', '/', 'the path is not the number of a database'],
    ['', '#', 'the URL has a fragment'],
    ['', '?', 'the URL has a query'],
    ['%41', '', 'the URL has no host'],
  ])('refuses a URL of Redis that ends with %s or has a password with %s', (end, inPassword, problem) => {
    const read = (): unknown => readConfig({ PREAMBLE_STORE: `redis://user:sek${inPassword}ret@host${end}` });
    expect(read).toThrow(new RegExp(`^PREAMBLE_STORE: ${problem.replaceAll('?', '\\?')}(?!.*(sek|ret@))`));
  });

  it.each([
    'redis://host',
    'redis://host:6379/',
    'rediss://user:p%40ss%3F%23%2F@redis.internal:6380/15',
    'redis://:p@ss@10.0.0.1',
    'redis://[::1]:6379/3',
    'redis://redis_1:6379',
  ])('takes %s', (url) => {
    expect(readConfig({ PREAMBLE_STORE: url }).store).toEqual({ kind: 'redis', url });
    expect(readConfig({ PREAMBLE_STORE: `${url}\n` }).store).toEqual({ kind: 'redis', url });
  });

  it('takes files of TLS for rediss:// only, and a certificate with its key', () => {
    const PREAMBLE_STORE = 'rediss://host';
    const pair = { PREAMBLE_STORE_CERT: 'client.pem', PREAMBLE_STORE_KEY: '/etc/client.key' };
    expect(readConfig({ PREAMBLE_STORE, PREAMBLE_STORE_CA: 'ca.pem', ...pair }, '/srv')).toMatchObject({
      storeCa: '/srv/ca.pem',
      storeCert: '/srv/client.pem',
      storeKey: '/etc/client.key',
    });
    const refused = (settings: NodeJS.ProcessEnv) => () => readConfig({ PREAMBLE_STORE, ...settings });
    expect(refused({ ...pair, PREAMBLE_STORE: 'redis://host' })).toThrow(/^PREAMBLE_STORE_CERT: this is for .*rediss:/);
    expect(refused({ ...pair, PREAMBLE_STORE_KEY: '' })).toThrow(
      'PREAMBLE_STORE_CERT: PREAMBLE_STORE_KEY must be set too',
    );
    expect(refused({ ...pair, PREAMBLE_STORE_CERT: '' })).toThrow(
      'PREAMBLE_STORE_KEY: PREAMBLE_STORE_CERT must be set too',
    );
  });

  it.each([`"redis://:sekret@h:1/0"`, ' redis://:sekret@h:1/0', 'REDIS://:sekret@h:1/0', 'sekret@h'])(
    'shows no password of a store that it refuses: %s',
    (value) => {
      const read = (): unknown => readConfig({ PREAMBLE_STORE: value });
      expect(read).toThrow(/^PREAMBLE_STORE: this is not file:DIR/);
    },
  );

  it('keeps float32 on the CPU and float16 on a device, unless told otherwise', () => {
    expect(precisions(readConfig({}))).toMatchObject({ weights: 'float32', kv: 'float32' });
    expect(precisions(readConfig({ PREAMBLE_WEIGHTS: 'int8' }))).toMatchObject({ weights: 'int8', kv: 'float32' });
    const device = { PREAMBLE_PROVIDER: 'webgpu' };
    expect(precisions(readConfig(device))).toMatchObject({ weights: 'float16', kv: 'float16' });
    expect(precisions(readConfig({ ...device, PREAMBLE_KV: 'float32' }))).toMatchObject({
      weights: 'float16',
      kv: 'float32',
    });
  });

  it('takes float16 weights on a device only, and few bits on the CPU only', () => {
    const read = (provider: string, weights: string) =>
      readConfig({ PREAMBLE_PROVIDER: provider, PREAMBLE_WEIGHTS: weights, PREAMBLE_KV: 'float16' });
    expect(read('cpu', 'int4')).toMatchObject({ weights: 'int4', kv: 'float16' });
    expect(read('cuda', 'float16')).toMatchObject({ provider: 'cuda', weights: 'float16' });
    expect(() => read('webgpu', 'int8')).toThrow(
      "PREAMBLE_WEIGHTS: 'int8' is for the cpu, and PREAMBLE_PROVIDER is webgpu",
    );
  });

  it('never shows a key', () => {
    expect(() => readConfig({ PREAMBLE_API_KEYS: 'ok=fine,s3cret' })).toThrow(/^(?!.*s3cret)/);
    expect(() => readConfig({ PREAMBLE_API_KEYS: 'a=s3cret,b=s3cret' })).toThrow(/^(?!.*s3cret)/);
  });

  it.each(['localhost', '::1', '127.0.0.1', '127.1.2.3'])('listens on %s without keys', (host) => {
    expect(readConfig({ HOST: host }).host).toBe(host);
  });

  it('listens anywhere with keys, or where keys can be made', () => {
    expect(readConfig({ HOST: '0.0.0.0', PREAMBLE_API_KEYS: 'a=k' }).host).toBe('0.0.0.0');
    expect(readConfig({ HOST: '0.0.0.0', PREAMBLE_ADMIN_KEY: 'k'.repeat(16) }).host).toBe('0.0.0.0');
  });

  it('does not let a tenant have the admin key', () => {
    const key = 's3cret'.repeat(3);
    const read = (): unknown => readConfig({ PREAMBLE_API_KEYS: `a=x,b=${key}`, PREAMBLE_ADMIN_KEY: key });
    expect(read).toThrow(/^PREAMBLE_ADMIN_KEY: (?!.*s3cret)/);
  });

  it('lets one of several tenants fill half of the queue, a sole tenant all of it', () => {
    const of = (env: NodeJS.ProcessEnv) => tenantDefaults(readConfig(env)).queueShare;
    expect(of({ PREAMBLE_API_KEYS: 'a=x,b=y' })).toBe(0.5);
    expect(of({ PREAMBLE_ADMIN_KEY: 'k'.repeat(16) })).toBe(0.5);
    expect(of({ PREAMBLE_API_KEYS: 'a=x,b=y', PREAMBLE_QUEUE_SHARE: '1' })).toBe(1);
    expect(of({})).toBeNull();
  });

  it('limits no tenant unless told to, where zero is a limit', () => {
    expect(tenantDefaults(readConfig({}))).toEqual(NO_LIMITS);
    const limits = { PREAMBLE_TENANT_WEIGHT: '0.5', PREAMBLE_REQUESTS_PER_MINUTE: '0', PREAMBLE_QUEUE_SHARE: '1' };
    expect(tenantDefaults(readConfig(limits))).toEqual({
      ...NO_LIMITS,
      weight: 0.5,
      requestsPerMinute: 0,
      queueShare: 1,
    });
  });
});

describe('physicalCores', () => {
  it('is a usable number of threads', () => {
    expect(physicalCores()).toSatisfy((n: number) => Number.isInteger(n) && n >= 1 && n <= 4096);
  });
});
