import { openTenancy } from '../../src/app/open/tenancy.js';
import { defaultConfig } from '../../src/config/config.js';
import type { Config } from '../../src/config/variables.js';
import { Files } from '../../src/files/files.js';
import type { FileStore } from '../../src/files/file-store.js';
import { FineTuning } from '../../src/fine-tuning/fine-tuning.js';
import type { FineTuningJob } from '../../src/fine-tuning/job.js';
import type { JobStore } from '../../src/jobs/job-store.js';
import type { StoreError } from '../../src/lib/store-error.js';
import type { PrefixStore } from '../../src/prefix/store.js';
import type { RedisConnection } from '../../src/redis/connection.js';
import { encodeForm } from '../support/http.js';
import { base, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

const settings = { adminKey: 'open-sesame-please', apiKeys: [{ tenant: 'alice', key: 'static-key' }] };

/** An answer, as far as it tells of an error. */
export interface StoreAnswer {
  readonly status: number;
  readonly retryAfter: unknown;
  readonly error: { readonly code: string; readonly message: string; readonly type: string; readonly param: null };
}

/** The stores of prefixes, files and jobs. Tenants and keys are where `connection` or the settings have them. */
export interface Stores {
  readonly prefixes: PrefixStore;
  readonly files: FileStore;
  readonly jobs: JobStore<FineTuningJob>;
  readonly connection?: RedisConnection;
  readonly config?: Partial<Config>;
}

/** A server on these stores, with a file of the tenant `alice`, and one request for each store that reads it or writes to it. */
export async function serverOn({ prefixes, files: fileStore, jobs, connection, config = {} }: Stores) {
  const quota = { maxFiles: 10, maxBytes: 1e9 };
  const files = new Files({ store: fileStore, quota, now: Date.now });
  const fineTuning = new FineTuning({
    files,
    store: jobs,
    queue: { add: async () => undefined },
    fingerprint: base.fingerprint,
    maxUnfinished: 10,
    now: Date.now,
  });
  const library = await testLibrary(prefixes);
  const tenancy = await openTenancy({ ...defaultConfig(), ...settings, ...config }, connection);
  const failures: StoreError[] = [];
  const storeFailed = (error: StoreError): unknown => failures.push(error);
  const server = await testServer({ ...settings, ...config }, { ...tenancy, library, files, fineTuning, storeFailed });
  const { id } = await files.add('alice', 'data.jsonl', 'fine-tune', Buffer.from('{"prompt":"a","completion":"b"}'));

  const ask = async (
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    { payload, headers = {}, key }: { payload?: object; headers?: object; key?: string } = {},
  ): Promise<StoreAnswer> => {
    const used = key ?? (url.startsWith('/v1/admin') ? settings.adminKey : 'static-key');
    const request = {
      method,
      url,
      headers: { authorization: `Bearer ${used}`, ...headers },
      ...(payload && { payload }),
    };
    const answer = await server.app.inject(request);
    const { error } = answer.json<{ error: StoreAnswer['error'] }>();
    return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], error };
  };
  const form = await encodeForm({ purpose: 'fine-tune', file: [new Uint8Array(Buffer.from('{}')), 'data.jsonl'] });
  const job = { model: base.id, training_file: id };
  return {
    tenancy: tenancy.tenancy,
    library,
    files,
    failures,
    ask,
    reads: {
      files: () => ask('GET', '/v1/files'),
      jobs: () => ask('GET', '/v1/fine_tuning/jobs'),
      tenants: () => ask('GET', '/v1/admin/tenants'),
      keys: () => ask('GET', '/v1/admin/keys'),
      prefixes: () => ask('GET', '/v1/prefixes'),
    },
    writes: {
      files: () => ask('POST', '/v1/files', { payload: Buffer.from(form.body), headers: form.headers }),
      jobs: () => ask('POST', '/v1/fine_tuning/jobs', { payload: job }),
      tenants: () => ask('POST', '/v1/admin/tenants/bob', { payload: { weight: 2 } }),
      keys: () => ask('POST', '/v1/admin/keys', { payload: { tenant: 'bob' } }),
      prefixes: () => ask('POST', '/v1/prefixes', { payload: { name: 'new', text: 'be brief' } }),
    },
  };
}

/** The answer for a store that cannot serve a request. */
export function refusedBy(code: string, message: string): StoreAnswer {
  return { status: 503, retryAfter: '1', error: { code, message, type: 'server_error', param: null } };
}

/** The message of a write that a store prevents: limits hold all the same. */
export function inForce(store: string, message: string): string {
  if (store !== 'tenants') return message;
  return `${message} The limits hold on this server until it restarts; repeat the call to store them.`;
}
