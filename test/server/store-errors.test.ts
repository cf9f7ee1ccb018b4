import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { openTenancy } from '../../src/app/open/tenancy.js';
import { defaultConfig } from '../../src/config/config.js';
import { Files } from '../../src/files/files.js';
import { FINE_TUNING } from '../../src/fine-tuning/job.js';
import { FineTuning } from '../../src/fine-tuning/fine-tuning.js';
import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisFileStore } from '../../src/redis/files/redis-file-store.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { encodeForm } from '../support/http.js';
import { freePort, RedisServer } from '../support/redis-server.js';
import { base, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

const adminKey = 'open-sesame-please';
const settings = { adminKey, apiKeys: [{ tenant: 'alice', key: 'static-key' }] };

let redis: RedisServer;
afterEach(() => redis.stop());

/** A server all of whose stores are on a Redis of its own, and a file there that jobs can train on. */
async function serverOnRedis() {
  redis = await RedisServer.start();
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  const quota = { maxFiles: 10, maxBytes: 1e9 };
  const files = new Files({ store: new RedisFileStore(connection), quota, now: Date.now });
  const fineTuning = new FineTuning({
    files,
    store: new RedisJobStore(connection, FINE_TUNING),
    queue: { add: async () => undefined },
    fingerprint: base.fingerprint,
    maxUnfinished: 10,
    now: Date.now,
  });
  const library = await testLibrary(new CachedPrefixStore(new RedisPrefixStore(connection, base.fingerprint)));
  const tenancy = await openTenancy({ ...defaultConfig(), ...settings }, connection);
  const { app } = await testServer(settings, { ...tenancy, library, files, fineTuning });
  const { id } = await files.add('alice', 'data.jsonl', 'fine-tune', Buffer.from('{"prompt":"a","completion":"b"}'));

  const ask = async (method: 'GET' | 'POST', url: string, payload?: object, headers: object = {}) => {
    const key = url.startsWith('/v1/admin') ? adminKey : 'static-key';
    const request = {
      method,
      url,
      headers: { authorization: `Bearer ${key}`, ...headers },
      ...(payload && { payload }),
    };
    const answer = await app.inject(request);
    const { error } = answer.json<{ error?: { code: string; message: string; type: string; param: null } }>();
    return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], error };
  };
  const form = await encodeForm({ purpose: 'fine-tune', file: [new Uint8Array(Buffer.from('{}')), 'data.jsonl'] });
  const job = { model: base.id, training_file: id };
  return {
    connection,
    reads: {
      files: () => ask('GET', '/v1/files'),
      jobs: () => ask('GET', '/v1/fine_tuning/jobs'),
      tenants: () => ask('GET', '/v1/admin/tenants'),
      keys: () => ask('GET', '/v1/admin/keys'),
      prefixes: () => ask('GET', '/v1/prefixes'),
    },
    writes: {
      files: () => ask('POST', '/v1/files', Buffer.from(form.body), form.headers),
      jobs: () => ask('POST', '/v1/fine_tuning/jobs', job),
      tenants: () => ask('POST', '/v1/admin/tenants/bob', { weight: 2 }),
      keys: () => ask('POST', '/v1/admin/keys', { tenant: 'bob' }),
      prefixes: () => ask('POST', '/v1/prefixes', { name: 'new', text: 'be brief' }),
    },
  };
}

const refused = (code: string, message: string) => ({
  status: 503,
  retryAfter: '1',
  error: { code, message, type: 'server_error', param: null },
});

describe('an answer that a store prevents names the store and the reason', () => {
  it('where it is away', async () => {
    const { connection, reads, writes } = await serverOnRedis();
    await redis.kill();
    await expect.poll(() => connection.isReady).toBe(false);
    const served = { prefixes: ' Prefixes in memory are served.' } as Record<string, string>;
    for (const [store, read] of Object.entries(reads)) {
      const message = `The store of ${store} is away.${served[store] ?? ''}`;
      expect(await read()).toEqual(refused('store_unavailable', message));
    }
    for (const [store, write] of Object.entries(writes)) {
      const asked = store === 'jobs' ? 'files' : store; // a job's file is looked for first
      const message = `The store of ${asked} is away.${served[asked] ?? ''}`;
      expect(await write()).toEqual(refused('store_unavailable', message));
    }
  });

  it('where it is full', async () => {
    const { connection, reads, writes } = await serverOnRedis();
    await connection.client.config('SET', 'maxmemory-policy', 'noeviction');
    await connection.client.config('SET', 'maxmemory', '1');
    for (const [store, write] of Object.entries(writes))
      expect(await write()).toEqual(refused('store_full', `The store of ${store} is full. Nothing was stored.`));
    for (const read of Object.values(reads)) expect((await read()).status).toBe(200);
  });

  it('where it takes no writes', async () => {
    const { connection, reads, writes } = await serverOnRedis();
    // A replica whose primary is away serves what it has.
    await connection.client.replicaof('127.0.0.1', await freePort());
    for (const [store, write] of Object.entries(writes)) {
      const message = `The store of ${store} takes no writes at present. Nothing was stored.`;
      expect(await write()).toEqual(refused('store_read_only', message));
    }
    for (const read of Object.values(reads)) expect((await read()).status).toBe(200);
  });
});
