import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';

import { type Batch, BATCHES } from '../../src/batches/batch.js';
import { Batches } from '../../src/batches/batches.js';
import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { Files } from '../../src/files/files.js';
import { DiskJobResults } from '../../src/jobs/disk-job-results.js';
import { DiskJobStore } from '../../src/jobs/disk-job-store.js';
import { encodeForm } from '../support/http.js';
import { operationsOf, type Operation } from '../support/openapi.js';
import { testServer } from './harness.js';
import { adapterFiles, temporaryDirectory, testLibrary } from './prefix-library.js';

/** What anybody may ask. A route that is added later is not public until it is written down here. */
const PUBLIC = ['/livez', '/readyz', '/health', '/metrics', '/openapi.json', '/docs'];
/** Where another tenant's key does something on its own behalf, or gets a list of its own; elsewhere nothing is found. */
const OWN: Readonly<Record<string, number>> = {
  'GET /v1/me': 200,
  'HEAD /v1/me': 200,
  'GET /v1/models': 200,
  'HEAD /v1/models': 200,
  'GET /v1/prefixes': 200,
  'HEAD /v1/prefixes': 200,
  'POST /v1/prefixes': 201,
  'POST /v1/batch/completions': 200,
  'GET /v1/batches': 200,
  'HEAD /v1/batches': 200,
  'GET /v1/files': 200,
  'HEAD /v1/files': 200,
  'POST /v1/files': 415,
};

const NAME = 'quokka/letters';
const OTHER_NAME = 'wombat-notes';
const TEXT = 'platypus milk';
const FILE_NAME = 'numbat.jsonl';
const owner = { authorization: 'Bearer owner-key' };
const settings = {
  adminKey: 'wallaby-administers',
  apiKeys: [
    { tenant: 'kangaroo', key: 'owner-key' },
    { tenant: 'stranger', key: 'stranger-key' },
  ],
};

interface Estate {
  readonly app: FastifyInstance;
  readonly operations: Operation[];
  /** Values of parameters, and of fields of bodies, that name things of the owner's; a prefix's name for all others. */
  readonly ids: Readonly<Record<string, string>>;
  /** Whatever only the owner may see. */
  readonly secrets: readonly string[];
}

/** A server on which the owner has two prefixes, a file and a batch, and what is secret about them. */
async function estate(): Promise<Estate> {
  const chatTemplate = { render: () => 'Hi' };
  const { files: stored, batches } = await openBatches();
  const { app } = await testServer(settings, { library: await testLibrary(), chatTemplate, files: stored, batches });
  const { id: file_id } = await stored.add('kangaroo', FILE_NAME, 'batch', Buffer.from(TEXT));
  const request = { endpoint: '/v1/completions', inputFile: file_id, metadata: { note: TEXT } } as const;
  const { id: batch_id } = await batches.create('kangaroo', request);
  const files = adapterFiles(3, { base_model_name_or_path: 'bandicoot' });
  const form = await encodeForm({
    name: NAME,
    adapter_config: [files.config, 'c.json'],
    adapter_model: [files.model, 'm.safetensors'],
  });
  const uploads = [
    await app.inject({
      method: 'POST',
      url: '/v1/prefixes',
      headers: { ...owner, ...form.headers },
      payload: Buffer.from(form.body),
    }),
    await app.inject({
      method: 'POST',
      url: '/v1/prefixes',
      headers: owner,
      payload: { name: OTHER_NAME, text: TEXT },
    }),
  ];
  expect(uploads.map(({ statusCode }) => statusCode)).toEqual([201, 201]);
  const versions = uploads.map((upload) => upload.json<{ version: string }>().version.slice(0, 12));
  const bytes = Buffer.from(files.model).subarray(-24).toString('latin1');
  const own = ['kangaroo', 'owner-key', settings.adminKey, 'bandicoot', TEXT, NAME, OTHER_NAME, FILE_NAME];
  const secrets = [...own, file_id, batch_id, bytes, ...versions];
  const ids = { file_id, batch_id, input_file_id: file_id };
  return { app, operations: await operationsOf(app), ids, secrets };
}

/** Files and batches on disk, which nobody works on. */
async function openBatches(): Promise<{ files: Files; batches: Batches }> {
  const directory = await temporaryDirectory();
  const [now, queue] = [Date.now, { add: async () => undefined }];
  const store = await DiskFileStore.open(directory);
  const files = new Files({ store, quota: { maxFiles: 9, maxBytes: 1e6 }, now });
  const [jobs, results] = [await DiskJobStore.open<Batch>(directory, BATCHES), new DiskJobResults(directory)];
  const options = { files, store: jobs, results, queue, fingerprint: 'f', maxUnfinished: 9, now };
  return { files, batches: new Batches(options) };
}

/** Every call of an operation that could touch what is the owner's: HEAD comes with GET, and each file counts. */
function callsOf(
  { method, path, bodies }: Operation,
  ids: Estate['ids'],
): { method: string; url: string; payload: object | undefined }[] {
  const files = path.includes('{file}') ? ['adapter_config.json', 'adapter_model.safetensors'] : [''];
  const methods = method === 'GET' ? ['GET', 'HEAD'] : [method];
  const payload = bodies['application/json'] && aimed(bodies['application/json'][0] ?? {}, ids);
  return methods.flatMap((verb) =>
    files.map((file) => {
      const aim = (_: string, name: string): string => encodeURIComponent(ids[name] ?? NAME);
      const url = path.replace('{file}', file).replace(/\{(\w+)\}/g, aim);
      return { method: verb, url, payload };
    }),
  );
}

/** An example's body with the owner's prefix as every model, and the owner's files. A text that is uploaded is short enough for the tiny model. */
function aimed(value: unknown, ids: Estate['ids']): object {
  const replaced: Readonly<Record<string, string>> = { model: NAME, text: 'Dear', ...ids };
  return JSON.parse(JSON.stringify(value, (key, part: unknown) => replaced[key] ?? part)) as object;
}

/** Calls an operation in every way and returns the statuses; nothing of the owner's may be in an answer but what was asked. */
async function call(
  { app, ids, secrets }: Estate,
  operation: Operation,
  headers: Record<string, string>,
): Promise<number[]> {
  const statuses: number[] = [];
  for (const { method, url, payload } of callsOf(operation, ids)) {
    const answer = await app.inject({ method: method as 'GET', url, headers, ...(payload && { payload }) });
    const asked = decodeURIComponent(url) + JSON.stringify(payload ?? {});
    const told = `${answer.rawPayload.toString('latin1')}${JSON.stringify(answer.headers)}`;
    const leaked = secrets.filter((secret) => !asked.includes(secret) && told.includes(secret));
    expect(leaked, `${method} ${url}`).toEqual([]);
    statuses.push(answer.statusCode);
  }
  return statuses;
}

const isPublic = ({ path }: Operation): boolean => PUBLIC.some((open) => path === open || path.startsWith(`${open}/`));

describe('every route', () => {
  it('is one that this test knows how to call', async () => {
    const { operations } = await estate();
    expect(operations.length).toBeGreaterThanOrEqual(10);
    const closed = operations.filter((operation) => !isPublic(operation));
    expect(closed.every(({ path }) => path.startsWith('/v1/'))).toBe(true);
    expect(closed.some(({ path }) => path.startsWith('/v1/admin/'))).toBe(true);
  });

  it.each([
    ['no key', {}],
    ['an empty key', { authorization: 'Bearer ' }],
    ['a wrong key', { authorization: 'Bearer owner-kez' }],
    ['a tenant for a key', { authorization: 'Bearer kangaroo' }],
    ['another scheme', { authorization: `Basic ${btoa('kangaroo:owner-key')}` }],
  ])('refuses %s', async (_, headers: Record<string, string>) => {
    const place = await estate();
    for (const operation of place.operations.filter((one) => !isPublic(one))) {
      for (const status of await call(place, operation, headers)) {
        expect(status, `${operation.method} ${operation.path}`).toBe(401);
      }
    }
  });

  it('finds nothing of the owner’s with another tenant’s key', async () => {
    const place = await estate();
    const headers = { authorization: 'Bearer stranger-key' };
    for (const operation of place.operations.filter((one) => !isPublic(one))) {
      const route = `${operation.method} ${operation.path}`;
      for (const status of await call(place, operation, headers)) {
        expect(status, route).toBe(OWN[route] ?? (operation.path.startsWith('/v1/admin') ? 401 : 404));
      }
    }
    const batch = { requests: [{ custom_id: 'a', body: { model: NAME, prompt: 'x' } }] };
    const answer = await place.app.inject({ method: 'POST', url: '/v1/batch/completions', headers, payload: batch });
    expect(answer.json()).toMatchObject({ data: [{ response: { status_code: 404 } }] });
    const kept = await place.app.inject({ url: `/v1/prefixes/${encodeURIComponent(NAME)}`, headers: owner });
    expect(kept.json()).toMatchObject({ name: NAME, num_virtual_tokens: 3 });
  });

  it.each(PUBLIC)('says nothing of anybody at %s', async (path) => {
    const place = await estate();
    for (const headers of [{}, { authorization: 'Bearer stranger-key' }, owner]) {
      // Use first, so that there is something to tell.
      await place.app.inject({
        method: 'POST',
        url: '/v1/completions',
        headers: owner,
        payload: { model: NAME, prompt: TEXT },
      });
      const [status] = await call(place, { method: 'GET', path, bodies: {} }, headers);
      expect([200, 302, ...(path === '/metrics' ? [404] : [])]).toContain(status);
    }
  });
});
