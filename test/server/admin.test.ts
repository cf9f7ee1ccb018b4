import type { FastifyInstance } from 'fastify';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import { describe, expect, it } from 'vitest';

import type { IssuedKey, Key, KeyList, Tenant, TenantList } from '../../src/server/admin/schema.js';
import type { ErrorEnvelope } from '../../src/server/schema/error.js';
import { realServer } from '../support/real-server.js';
import { post, sharedServer, testServer, type TestServer } from './harness.js';
import { temporaryDirectory, testLibrary } from './prefix-library.js';

const adminKey = 'open-sesame-please';
const apiKeys = [
  { tenant: 'mike', key: 'a-static-key-of-some-length' },
  { tenant: 'mike', key: 'short' },
];

type Answer<T> = { readonly status: number; readonly body: T & ErrorEnvelope; readonly text: string };

/** The operator's calls. */
function operator({ app }: { readonly app: FastifyInstance }) {
  return async <T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Answer<T>> => {
    const headers = { authorization: `Bearer ${adminKey}` };
    const response = await app.inject({ method, url: `/v1/admin${path}`, headers, ...(body && { payload: body }) });
    return { status: response.statusCode, body: response.json(), text: response.body };
  };
}

const complete = async ({ app }: TestServer, key: string) =>
  post(app, '/v1/completions', { model: 'tiny', prompt: 'abc', max_tokens: 2 }, { authorization: `Bearer ${key}` });

const routes = [
  ['GET', '/v1/admin/engine'],
  ['GET', '/v1/admin/engine/events'],
  ['GET', '/v1/admin/tenants'],
  ['GET', '/v1/admin/tenants/a'],
  ['POST', '/v1/admin/tenants/a'],
  ['DELETE', '/v1/admin/tenants/a'],
  ['GET', '/v1/admin/keys'],
  ['POST', '/v1/admin/keys'],
  ['DELETE', '/v1/admin/keys/static-1'],
] as const;

describe('the admin routes', () => {
  const server = sharedServer({ adminKey, apiKeys });
  const off = sharedServer({ apiKeys });

  it.each(routes)('are not there without an admin key: %s %s', async (method, url) => {
    for (const key of ['undefined', '', apiKeys[0]!.key]) {
      const response = await off().app.inject({ method, url, headers: { authorization: `Bearer ${key}` } });
      expect(response.statusCode).toBe(404);
      expect(response.json()).toMatchObject({ error: { code: 'route_not_found' } });
    }
  });

  it.each(routes)('are nobody else’s: %s %s', async (method, url) => {
    const { app } = server();
    const { body } = await operator(server())<IssuedKey>('POST', '/keys', { tenant: 'a' });
    const strangers = [
      undefined,
      '',
      `Bearer ${adminKey}x`,
      `Basic ${adminKey}`,
      `Bearer ${apiKeys[0]!.key}`,
      `Bearer ${body.key}`,
    ];
    for (const authorization of strangers) {
      const response = await app.inject({ method, url, headers: authorization === undefined ? {} : { authorization } });
      expect(response.statusCode).toBe(401);
      expect(response.json()).toMatchObject({ error: { code: 'invalid_api_key', type: 'authentication_error' } });
    }
  });

  it('take the admin key, which is no tenant’s', async () => {
    expect((await operator(server())('GET', '/tenants')).status).toBe(200);
    expect((await complete(server(), adminKey)).status).toBe(401);
  });

  it('make keys necessary, though there be none yet', async () => {
    const fresh = await testServer({ adminKey });
    expect((await post(fresh.app, '/v1/completions', { model: 'tiny', prompt: 'a' })).status).toBe(401);
  });

  it('are documented, with an example for each body', async () => {
    const { app } = server();
    const document = (await app.inject({ url: '/openapi.json' })).json();
    const paths = Object.keys(document.paths).filter((path) => path.startsWith('/v1/admin'));
    expect(paths.sort()).toEqual([
      '/v1/admin/engine',
      '/v1/admin/engine/events',
      '/v1/admin/keys',
      '/v1/admin/keys/{id}',
      '/v1/admin/tenants',
      '/v1/admin/tenants/{tenant}',
    ]);
    for (const path of ['/v1/admin/keys', '/v1/admin/tenants/{tenant}']) {
      const { post: operation } = document.paths[path];
      expect(operation.tags).toEqual(['admin']);
      const { example } = operation.requestBody.content['application/json'];
      expect((await operator(server())('POST', path.slice(9).replace('{tenant}', 'example'), example)).status).toBe(
        201,
      );
    }
  });
});

describe('keys', () => {
  it('are shown once, work, and are listed without what makes them work', async () => {
    const server = await testServer({ adminKey, apiKeys });
    const call = operator(server);
    const created = await call<IssuedKey>('POST', '/keys', { tenant: 'alice', label: 'laptop' });
    const { key, ...shown } = created.body;
    expect(created.status).toBe(201);
    expect(shown).toEqual({
      object: 'key',
      id: key.slice(4, 24),
      tenant: 'alice',
      label: 'laptop',
      last4: key.slice(-4),
      created: expect.any(Number),
      static: false,
    });
    expect((await complete(server, key)).status).toBe(200);
    expect(server.engine.submitted[0]?.tenant).toBe('alice');
    const listed = await call<KeyList>('GET', '/keys');
    const fixed = { object: 'key', tenant: 'mike', label: null, created: null, static: true };
    expect(listed.body.data).toEqual([
      { ...fixed, id: 'static-1', last4: 'ngth' },
      { ...fixed, id: 'static-2', last4: null },
      shown,
    ]);
    for (const secret of [key.slice(25), ...apiKeys.map((pair) => pair.key)]) expect(listed.text).not.toContain(secret);
  });

  it('are listed page by page, and by tenant', async () => {
    const call = operator(await testServer({ adminKey, apiKeys }));
    const made: string[] = ['static-1', 'static-2'];
    for (const tenant of ['a', 'b', 'a', 'mike', 'b'])
      made.push((await call<Key>('POST', '/keys', { tenant })).body.id);
    const pages = async (query: string): Promise<string[]> => {
      const ids: string[] = [];
      for (let more = true; more;) {
        const after = ids.length > 0 ? `&after=${ids.at(-1)}` : '';
        const { body } = await call<KeyList>('GET', `/keys?limit=2${query}${after}`);
        expect(body.first_id).toBe(body.data[0]?.id ?? null);
        expect(body.last_id).toBe(body.data.at(-1)?.id ?? null);
        ids.push(...body.data.map(({ id }) => id));
        more = body.has_more;
      }
      return ids;
    };
    expect((await pages('')).sort()).toEqual([...made].sort());
    expect(await pages('&tenant=mike')).toEqual(['static-1', 'static-2', made[5]]);
    expect((await pages('&tenant=a')).sort()).toEqual([made[2], made[4]].sort());
    expect(await pages('&tenant=nobody')).toEqual([]);
  });

  it('are refused once they are revoked, and no other key is', async () => {
    const server = await testServer({ adminKey, apiKeys });
    const call = operator(server);
    const [one, two] = [
      await call<IssuedKey>('POST', '/keys', { tenant: 'a' }),
      await call<IssuedKey>('POST', '/keys', { tenant: 'a' }),
    ];
    expect((await complete(server, one.body.key)).status).toBe(200);
    expect((await call('DELETE', `/keys/${one.body.id}`)).body).toEqual({
      id: one.body.id,
      object: 'key',
      deleted: true,
    });
    expect((await complete(server, one.body.key)).status).toBe(401);
    expect((await complete(server, two.body.key)).status).toBe(200);
    for (const id of [one.body.id, 'nothing', '0'.repeat(20)])
      expect(await call('DELETE', `/keys/${id}`)).toMatchObject({
        status: 404,
        body: { error: { code: 'key_not_found' } },
      });
    expect(await call('DELETE', '/keys/static-1')).toMatchObject({
      status: 409,
      body: { error: { code: 'key_static' } },
    });
    expect((await complete(server, apiKeys[0]!.key)).status).toBe(200);
  });

  it('are known by every character', async () => {
    const server = await testServer({ adminKey });
    const { key } = (await operator(server)<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
    const flip = (at: number) => key.slice(0, at) + (key[at] === '0' ? '1' : '0') + key.slice(at + 1);
    const wrong = [flip(4), flip(23), flip(25), flip(50), key.slice(0, -1), `${key}0`, key.toUpperCase(), `pre-${key}`];
    for (const other of wrong) expect((await complete(server, other)).status).toBe(401);
    expect((await complete(server, key)).status).toBe(200);
  });

  it('and what is secret of them are in no log, error or file', async () => {
    const directory = await temporaryDirectory();
    const server = await testServer({ adminKey, apiKeys, store: { kind: 'file', directory } });
    const call = operator(server);
    const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a', label: 'hush' })).body;
    const texts = [
      (await complete(server, key)).text,
      (await complete(server, `${key}x`)).text,
      (await call('POST', '/keys', { tenant: key, label: 5 })).text,
      (await call('DELETE', `/keys/${key}`)).text,
      (await call('GET', '/keys')).text,
    ];
    const files = await readdir(join(directory, '.tenancy'));
    for (const file of files) texts.push(await readFile(join(directory, '.tenancy', file), 'utf8'));
    expect(files).toEqual(['tenancy.json']);
    expect(server.log()).toContain('key created');
    for (const text of [...texts, server.log()]) {
      for (const secret of [key.slice(25), adminKey, apiKeys[0]!.key]) expect(text).not.toContain(secret);
    }
  });

  it.each([
    [{}, 'tenant', 'missing_parameter'],
    [{ tenant: '' }, 'tenant', 'invalid_value'],
    [{ tenant: '../a' }, 'tenant', 'invalid_value'],
    [{ tenant: 'a'.repeat(65) }, 'tenant', 'invalid_value'],
    [{ tenant: 'a', label: '' }, 'label', 'invalid_value'],
    [{ tenant: 'a', label: 'l'.repeat(129) }, 'label', 'invalid_value'],
    [{ tenant: 'a', scope: 'all' }, 'scope', 'unknown_parameter'],
  ])('are not made of %j', async (body, param, code) => {
    const call = operator(await testServer({ adminKey }));
    expect(await call('POST', '/keys', body)).toMatchObject({ status: 400, body: { error: { param, code } } });
  });
});

describe('tenants', () => {
  it('have the server’s limits until they have their own', async () => {
    const call = operator(await testServer({ adminKey, requestsPerMinute: 100, maxPrefixes: 7 }));
    const created = await call<Tenant>('POST', '/tenants/a', { weight: 2, tokens_per_minute: 0 });
    expect(created).toMatchObject({ status: 201 });
    expect(created.body).toEqual({
      object: 'tenant',
      tenant: 'a',
      created: expect.any(Number),
      static: false,
      weight: 2,
      requests_per_minute: 100,
      tokens_per_minute: 0,
      max_prefixes: 7,
      max_prefix_bytes: null,
      queue_share: 0.5,
      inherited: ['requests_per_minute', 'max_prefixes', 'max_prefix_bytes', 'queue_share'],
    });
    const changed = await call<Tenant>('POST', '/tenants/a', {
      weight: 'default',
      requests_per_minute: null,
      queue_share: 0.5,
    });
    expect(changed).toMatchObject({ status: 200 });
    expect(changed.body).toMatchObject({
      weight: 1,
      requests_per_minute: null,
      tokens_per_minute: 0,
      queue_share: 0.5,
    });
    expect((await call('GET', '/tenants/a')).body).toEqual(changed.body);
    expect((await call<Tenant>('POST', '/tenants/a', {})).body).toEqual(changed.body);
  });

  it.each([
    [{ weight: 0 }, 'weight'],
    [{ weight: -1 }, 'weight'],
    [{ weight: null }, 'weight'],
    [{ weight: 1001 }, 'weight'],
    [{ requests_per_minute: -1 }, 'requests_per_minute'],
    [{ tokens_per_minute: 1.5 }, 'tokens_per_minute'],
    [{ max_prefixes: 'many' }, 'max_prefixes'],
    [{ max_prefix_bytes: 2 ** 53 }, 'max_prefix_bytes'],
    [{ queue_share: 0 }, 'queue_share'],
    [{ queue_share: 1.01 }, 'queue_share'],
    [{ colour: 'red' }, 'colour'],
  ])('are not given %j', async (body, param) => {
    const call = operator(await testServer({ adminKey }));
    const answer = await call('POST', '/tenants/a', body);
    expect(answer).toMatchObject({ status: 400, body: { error: { param } } });
    expect(answer.body.error.message).toContain(`'${param}'`);
    expect(answer.body.error.message).not.toMatch(/schema|anyOf/);
    expect((await call('GET', '/tenants/a')).status).toBe(404);
  });

  it('are listed in order with those of the settings, page by page', async () => {
    const call = operator(await testServer({ adminKey, apiKeys: [...apiKeys, { tenant: 'Zoe', key: 'k' }] }));
    for (const name of ['b', 'mike', 'z', 'n']) await call('POST', `/tenants/${name}`, {});
    await call('POST', '/keys', { tenant: 'c' });
    const names: string[] = [];
    for (let more = true; more;) {
      const after = names.length > 0 ? `&after=${names.at(-1)}` : '';
      const { body } = await call<TenantList>('GET', `/tenants?limit=2${after}`);
      expect(body.data.length).toBeLessThanOrEqual(2);
      names.push(...body.data.map(({ tenant }) => tenant));
      more = body.has_more;
    }
    expect(names).toEqual(['Zoe', 'b', 'c', 'mike', 'n', 'z']);
    expect((await call<Tenant>('GET', '/tenants/Zoe')).body).toMatchObject({ static: true, created: null, weight: 1 });
    expect((await call<Tenant>('GET', '/tenants/mike')).body).toMatchObject({
      static: true,
      created: expect.any(Number),
    });
  });

  it('are deleted with their keys; prefixes only when asked', async () => {
    const server = await testServer({ adminKey, apiKeys }, { library: await testLibrary() });
    const call = operator(server);
    const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
    const authorization = `Bearer ${key}`;
    for (const name of ['one', 'two']) await post(server.app, '/v1/prefixes', { name, text: name }, { authorization });
    expect((await call('DELETE', '/tenants/a')).body).toEqual({
      id: 'a',
      object: 'tenant',
      deleted: true,
      prefixes_deleted: 0,
    });
    expect((await complete(server, key)).status).toBe(401);
    expect(await call('DELETE', '/tenants/a')).toMatchObject({
      status: 404,
      body: { error: { code: 'tenant_not_found' } },
    });
    expect((await call('DELETE', '/tenants/a?prefixes=true')).body).toMatchObject({ prefixes_deleted: 2 });
    expect((await call('DELETE', '/tenants/a?prefixes=true')).status).toBe(404);
    expect((await call('DELETE', '/tenants/a?prefixes=maybe')).status).toBe(400);
    expect(await call('DELETE', '/tenants/mike')).toMatchObject({
      status: 409,
      body: { error: { code: 'tenant_static' } },
    });
    expect((await complete(server, 'short')).status).toBe(200);
  });

  it('have nothing stored that was on its way when they were deleted', async () => {
    const server = await realServer({ adminKey });
    const call = operator(server.server);
    const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
    const authorization = `Bearer ${key}`;
    const begin = (path: string, body: string): { upload: ClientRequest; answer: Promise<[IncomingMessage]> } => {
      const headers = { authorization, 'content-type': 'application/json' };
      const upload = request(`${server.url}${path}`, { method: 'POST', headers });
      upload.write(body);
      return { upload, answer: once(upload, 'response') as Promise<[IncomingMessage]> };
    };
    const begun = [
      begin('/v1/completions', '{"model":"preamble-demo","prompt":"a"'),
      begin('/v1/prefixes', '{"name":"late","text":"a"'),
    ];
    // Sent later, and answered: the others are let in.
    expect((await fetch(`${server.url}/v1/models`, { headers: { authorization } })).status).toBe(200);
    await call('DELETE', '/tenants/a?prefixes=true');
    for (const { upload } of begun) upload.end('}');
    for (const { answer } of begun) expect((await answer)[0].statusCode).toBe(401);
  });

  it('find nothing of one of their name that was deleted in the prompt cache', async () => {
    const server = await realServer({ adminKey, promptCacheBytes: 2 ** 24 });
    const call = operator(server.server);
    const cached = async (): Promise<number | undefined> => {
      const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
      const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key });
      const body = { model: 'preamble-demo', prompt: 'The wind was in the north. '.repeat(20), max_tokens: 1 };
      return (await client.completions.create(body)).usage?.prompt_tokens_details?.cached_tokens;
    };
    expect(await cached()).toBe(0);
    expect(await cached()).toBeGreaterThan(0); // another key of the same tenant
    await call('DELETE', '/tenants/a?prefixes=true');
    expect(await cached()).toBe(0);
  });

  it('train nothing any more when they are deleted, and take files and jobs with them when asked', async () => {
    const server = await realServer({ adminKey });
    const call = operator(server.server);
    const newClient = async (): Promise<OpenAI> => {
      const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
      return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 });
    };
    const first = await newClient();
    const data = '{"prompt": "One:", "completion": " Forty-two."}\n'.repeat(8);
    const { id: training_file } = await first.files.create({
      file: await toFile(Buffer.from(data), 'data.jsonl'),
      purpose: 'fine-tune',
    });
    const train = (client: OpenAI): Promise<OpenAI.FineTuning.FineTuningJob> =>
      client.fineTuning.jobs.create({
        model: 'preamble-demo',
        training_file,
        prefix_tuning: { mlp: 0, length: 4 },
        hyperparameters: { n_epochs: 1000, batch_size: 1 },
      } as never);
    const statusOf = async (client: OpenAI, id: string): Promise<string> =>
      (await client.fineTuning.jobs.retrieve(id)).status;
    const [running, queued] = [await train(first), await train(first)];
    await expect.poll(() => statusOf(first, running.id), { timeout: 60_000 }).toBe('running');

    expect((await call('DELETE', '/tenants/a')).status).toBe(200);
    const second = await newClient();
    for (const { id } of [running, queued]) expect(await statusOf(second, id)).toBe('cancelled');
    const third = await train(second);
    await expect.poll(() => statusOf(second, third.id), { timeout: 60_000 }).toBe('running');

    expect((await call('DELETE', '/tenants/a?prefixes=true')).body).toMatchObject({ prefixes_deleted: 0 });
    const last = await newClient();
    expect((await last.files.list()).data).toEqual([]);
    expect((await last.fineTuning.jobs.list()).data).toEqual([]);
    const metrics = async (): Promise<string> => (await fetch(`${server.url}/metrics`)).text();
    await expect.poll(metrics, { timeout: 60_000 }).toMatch(/^preamble_fine_tuning_jobs_running\S* 0$/m);
    expect((await last.models.list()).data.map(({ id }) => id)).toEqual(['preamble-demo']);
  });

  it('keep no more prefixes than they may', async () => {
    const server = await testServer({ adminKey }, { library: await testLibrary() });
    const call = operator(server);
    const { key } = (await call<IssuedKey>('POST', '/keys', { tenant: 'a' })).body;
    const upload = (name: string, text: string) =>
      post(server.app, '/v1/prefixes', { name, text }, { authorization: `Bearer ${key}` });
    await call('POST', '/tenants/a', { max_prefixes: 1 });
    expect((await upload('one', 'x')).status).toBe(201);
    expect((await upload('one', 'y')).status).toBe(201);
    expect(await upload('two', 'x')).toMatchObject({ status: 403, body: { error: { code: 'prefix_quota_exceeded' } } });
    await call('POST', '/tenants/a', { max_prefixes: null, max_prefix_bytes: 0 });
    expect((await upload('two', 'x')).status).toBe(403);
    await call('POST', '/tenants/a', { max_prefix_bytes: 48 });
    expect((await upload('two', 'x')).status).toBe(201);
  });
});
