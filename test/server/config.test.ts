import { resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { ConfigError, packageRoot, readConfig } from '../../src/config.js';
import { physicalCores } from '../../src/cores.js';

describe('readConfig', () => {
  it('has the defaults of the contract', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      model: resolve(packageRoot, 'models/preamble-demo'),
      modelName: undefined,
      store: { kind: 'file', directory: resolve(packageRoot, 'prefixes') },
      apiKeys: [],
      provider: 'cpu',
      slots: 32,
      threads: physicalCores(),
      logLevel: 'info',
      drainSeconds: 30,
      maxBatchItems: 256,
    });
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

  it('is frozen', () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true);
  });

  it.each([
    ['PORT', '65536'],
    ['PORT', '80a'],
    ['PREAMBLE_SLOTS', '0'],
    ['PREAMBLE_SLOTS', '-1'],
    ['PREAMBLE_SLOTS', '1.5'],
    ['PREAMBLE_SLOTS', '1e3'],
    ['PREAMBLE_THREADS', 'many'],
    ['PREAMBLE_LOG_LEVEL', 'loud'],
    ['PREAMBLE_PROVIDER', 'tpu'],
    ['PREAMBLE_STORE', 'prefixes'],
    ['PREAMBLE_STORE', 'file:'],
    ['PREAMBLE_STORE', 'redis://127.0.0.1'],
    ['PREAMBLE_STORE', 'rediss://127.0.0.1'],
    ['PREAMBLE_API_KEYS', 'just-a-key'],
    ['PREAMBLE_API_KEYS', 'a=k,'],
    ['PREAMBLE_API_KEYS', '../up=k'],
    ['PREAMBLE_API_KEYS', 'a=same,b=same'],
    ['PREAMBLE_ADMIN_KEY', 'secret'],
    ['PREAMBLE_MODEL_NAME', 'a@b'],
    ['PREAMBLE_MODLE', 'x'],
    ['HOST', '0.0.0.0'],
    ['HOST', 'example.org'],
  ])('refuses %s=%s by name', (name, value) => {
    const read = (): unknown => readConfig({ [name]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^${name}: `));
  });

  it('never shows a key', () => {
    expect(() => readConfig({ PREAMBLE_API_KEYS: 'ok=fine,s3cret' })).toThrow(/^(?!.*s3cret)/);
    expect(() => readConfig({ PREAMBLE_API_KEYS: 'a=s3cret,b=s3cret' })).toThrow(/^(?!.*s3cret)/);
  });

  it.each(['localhost', '::1', '127.0.0.1', '127.1.2.3'])('listens on %s without keys', (host) => {
    expect(readConfig({ HOST: host }).host).toBe(host);
  });

  it('listens anywhere with keys', () => {
    expect(readConfig({ HOST: '0.0.0.0', PREAMBLE_API_KEYS: 'a=k' }).host).toBe('0.0.0.0');
  });
});

describe('physicalCores', () => {
  it('is a usable number of threads', () => {
    expect(physicalCores()).toSatisfy((n: number) => Number.isInteger(n) && n >= 1 && n <= 4096);
  });
});
