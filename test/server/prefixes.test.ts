import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import { adapterId } from '../../src/prefix/name.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base, eventsOf, type Body, listen, post, testServer, type TestServer } from './harness.js';
import { adapterFiles, testLibrary } from './prefix-library.js';
import { byteTokenizer } from './scripted-engine.js';

type Fields = Record<string, string | Blob | undefined>;

async function prefixServer(config: Parameters<typeof testServer>[0] = {}): Promise<TestServer> {
  return testServer(config, { library: await testLibrary() });
}

/** Uploads a form with the two files of a prefix; a field that is undefined is left out. */
async function upload(app: FastifyInstance, changes: Fields = {}, length = 3, headers: Record<string, string> = {}) {
  const files = adapterFiles(length);
  const form = new FormData();
  const fields: Fields = {
    name: 'alice',
    adapter_config: new Blob([files.config]),
    adapter_model: new Blob([files.model]),
    ...changes,
  };
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.append(name, value);
    else if (value) form.append(name, value, `${name}.bin`);
  }
  const encoded = new Response(form);
  const response = await app.inject({
    method: 'POST',
    url: '/v1/prefixes',
    payload: Buffer.from(await encoded.arrayBuffer()),
    headers: { 'content-type': encoded.headers.get('content-type') ?? '', ...headers },
  });
  return { status: response.statusCode, body: response.json<Body>() };
}

const get = async (app: FastifyInstance, url: string, headers: Record<string, string> = {}) => {
  const response = await app.inject({ url, headers });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.json<Body>(),
    raw: response.rawPayload,
  };
};

describe('a chat template beside an adapter', () => {
  it('is kept with the version, and downloaded', async () => {
    const { app } = await prefixServer();
    const template = '{{ messages[0].content }}é';
    const plain = await upload(app);
    const own = await upload(app, { chat_template: new Blob([template]) });
    expect(own).toMatchObject({ status: 201, body: { chat_template: true } });
    expect(own.body.version).not.toBe(plain.body.version);
    const file = await app.inject({ url: '/v1/prefixes/alice/files/chat_template.jinja' });
    expect([file.statusCode, file.headers['content-type'], file.body]).toEqual([
      200,
      'application/octet-stream',
      template,
    ]);
    const none = await app.inject({ url: `/v1/prefixes/alice@${plain.body.version}/files/chat_template.jinja` });
    expect(none.statusCode).toBe(404);
    expect(await upload(app, { chat_template: new Blob(['x'.repeat(65_537)]) })).toMatchObject({
      status: 413,
      body: { error: { code: 'chat_template_too_large', param: 'chat_template' } },
    });
  });
});

describe('POST /v1/prefixes', () => {
  it('takes the two files that PEFT wrote, once', async () => {
    const { app } = await prefixServer();
    const first = await upload(app, { name: 'users/alice' });
    expect(first).toEqual({
      status: 201,
      body: {
        object: 'prefix',
        name: 'users/alice',
        adapter_id: adapterId('default', 'users/alice'),
        version: expect.stringMatching(/^[0-9a-f]{64}$/),
        kind: 'prefix',
        placement: 'prefix',
        num_virtual_tokens: 3,
        bytes: 48,
        created: 1_700_000_000,
        base_model: 'tiny',
        warnings: [],
      },
    });
    expect(await upload(app, { name: 'users/alice' })).toEqual({ ...first, status: 200 });
    const changed = await upload(app, { name: 'users/alice', placement: 'infix', force: 'true' });
    expect(changed).toMatchObject({ status: 201, body: { placement: 'infix' } });
    expect(changed.body.version).not.toBe(first.body.version);
  });

  it.each([
    [undefined, undefined],
    [undefined, '{}'],
    ['text/plain', '{}'],
    ['application/json', undefined],
  ])('refuses what is neither form nor JSON: %s, %s', async (type, payload) => {
    const { app } = await prefixServer();
    const headers = type === undefined ? {} : { 'content-type': type };
    const answer = await app.inject({ method: 'POST', url: '/v1/prefixes', headers, ...(payload && { payload }) });
    expect(answer.statusCode).toBeOneOf([400, 415]);
    expect(answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
  });

  it('takes a text', async () => {
    const { app } = await prefixServer();
    const { status, body } = await post(app, '/v1/prefixes', { name: 'greeting', text: 'Dear' });
    expect(status).toBe(201);
    expect(body).toMatchObject({ name: 'greeting', kind: 'text', num_virtual_tokens: 4, placement: 'prefix' });
    expect((await post(app, '/v1/prefixes', { name: 'greeting', text: 'Dear' })).status).toBe(200);
  });

  it.each([
    [{ name: undefined }, 400, 'missing_parameter', 'name'],
    [{ name: '' }, 400, 'invalid_value', 'name'],
    [{ name: 'a/../b' }, 400, 'prefix_name_invalid', 'name'],
    [{ name: 'tiny' }, 400, 'prefix_name_reserved', 'name'],
    [{ name: 'x'.repeat(129) }, 400, 'invalid_value', 'name'],
    [{ placement: 'suffix' }, 400, 'invalid_value', 'placement'],
    [{ force: 'yes' }, 400, 'invalid_value', 'force'],
    [{ adapter_config: undefined }, 400, 'missing_parameter', 'adapter_config'],
    [{ adapter_config: '{}' }, 400, 'invalid_value', 'adapter_config'],
    [{ adapter_config: new Blob(['nonsense']) }, 400, 'adapter_config_not_json', 'adapter_config'],
    [{ adapter_model: undefined }, 400, 'missing_parameter', 'adapter_model'],
    [
      { adapter_model: new Blob(['nonsense of some length']) },
      400,
      expect.stringMatching(/^safetensors_/),
      'adapter_model',
    ],
    [{ colour: 'red' }, 400, 'unknown_parameter', 'colour'],
    [{ chat_template: 'a text' }, 400, 'invalid_value', 'chat_template'],
    [{ chat_template: new Blob(['{% for %}']) }, 400, 'chat_template_invalid', 'chat_template'],
    [{ chat_template: new Blob([Uint8Array.of(0xff)]) }, 400, 'chat_template_invalid', 'chat_template'],
    [{ a: new Blob(['']), b: new Blob(['']) }, 400, 'invalid_multipart', null],
    [{ adapter_model: new Blob(['x'.repeat(5000)]) }, 413, 'request_too_large', null],
  ])('refuses %j', async (changes, status, code, param) => {
    const { app } = await prefixServer({ maxUploadBytes: 4096 });
    const answer = await upload(app, changes);
    expect(answer).toMatchObject({ status, body: { error: { code, param, type: 'invalid_request_error' } } });
    expect((await get(app, '/v1/prefixes')).body.data).toEqual([]);
  });

  it.each([
    [{ name: 'a' }, 'text'],
    [{ name: 'a', text: '' }, 'text'],
    [{ name: 'a', text: 'x'.repeat(33) }, 'text'],
    [{ name: 'a', text: 5 }, 'text'],
    [{ name: 'a', text: 'b', placement: 'infix' }, 'placement'],
    [{ text: 'b' }, 'name'],
  ])('refuses the JSON %j', async (body, param) => {
    const { app } = await prefixServer();
    expect(await post(app, '/v1/prefixes', body)).toMatchObject({ status: 400, body: { error: { param } } });
  });

  it('refuses a form that breaks off, and other types', async () => {
    const { app } = await prefixServer();
    const broken = await post(app, '/v1/prefixes', '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nali', {
      'content-type': 'multipart/form-data; boundary=x',
    });
    expect(broken).toMatchObject({ status: 400, body: { error: { code: 'invalid_multipart' } } });
    const noBoundary = await post(app, '/v1/prefixes', 'x', { 'content-type': 'multipart/form-data' });
    expect(noBoundary).toMatchObject({ status: 400, body: { error: { code: 'invalid_multipart' } } });
    expect((await post(app, '/v1/prefixes', 'a', { 'content-type': 'text/plain' })).status).toBe(415);
  });
});

describe('/v1/prefixes/{name}', () => {
  it('shows a prefix with its versions, newest first', async () => {
    const { app } = await prefixServer();
    const old = (await upload(app, { name: 'users/alice' })).body;
    const current = (await upload(app, { name: 'users/alice' }, 4)).body;
    const { body } = await get(app, '/v1/prefixes/users%2Falice');
    const adapter_id = adapterId('default', 'users/alice');
    expect(body).toMatchObject({ object: 'prefix', version: current.version, num_virtual_tokens: 4, adapter_id });
    expect((await get(app, '/v1/prefixes')).body.data).toMatchObject([{ name: 'users/alice', adapter_id }]);
    expect(body.versions.map((v) => v.version)).toEqual([current.version, old.version]);
    expect((await get(app, `/v1/prefixes/users%2Falice@${old.version.slice(0, 12)}`)).body.version).toBe(old.version);
  });

  it('gives back the bytes that were uploaded', async () => {
    const { app } = await prefixServer();
    await upload(app, { name: 'users/alice' });
    const files = adapterFiles(3);
    const config = await app.inject({ url: '/v1/prefixes/users%2Falice/files/adapter_config.json' });
    expect(config.body).toBe(files.config);
    expect(config.headers['content-type']).toMatch(/^application\/json/);
    const model = await app.inject({ url: '/v1/prefixes/users%2Falice/files/adapter_model.safetensors' });
    expect(new Uint8Array(model.rawPayload)).toEqual(files.model);
    expect((await get(app, '/v1/prefixes/users%2Falice/files/prefix.json')).body.error).toMatchObject({
      param: 'file',
    });
  });

  it('deletes', async () => {
    const { app } = await prefixServer();
    await upload(app);
    const remove = async () => (await app.inject({ method: 'DELETE', url: '/v1/prefixes/alice' })).json<object>();
    expect(await remove()).toEqual({ id: 'alice', object: 'prefix', deleted: true });
    expect(await remove()).toMatchObject({ error: { code: 'prefix_not_found', param: 'name' } });
    expect((await get(app, '/v1/prefixes/alice')).status).toBe(404);
    expect((await get(app, '/v1/prefixes/alice/files/adapter_config.json')).status).toBe(404);
    expect((await get(app, '/v1/prefixes')).body.data).toEqual([]);
  });

  it('deletes although a client announces a body that does not come', async () => {
    const { app } = await prefixServer();
    await upload(app);
    const headers = { 'content-type': 'application/json' };
    expect((await app.inject({ method: 'DELETE', url: '/v1/prefixes/alice', headers })).statusCode).toBe(200);
  });

  it('lists in pages', async () => {
    const { app } = await prefixServer();
    for (const name of ['c', 'a', 'b/x']) await upload(app, { name });
    const page = (await get(app, '/v1/prefixes?limit=2')).body;
    expect(page).toMatchObject({ object: 'list', first_id: 'a', last_id: 'b/x', has_more: true });
    const rest = (await get(app, '/v1/prefixes?limit=2&after=b%2Fx')).body;
    expect(rest).toMatchObject({ data: [{ name: 'c' }], has_more: false });
    expect((await get(app, '/v1/prefixes?after=z')).body).toMatchObject({ data: [], first_id: null, last_id: null });
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'limit=-1', 'limit=1.5'])('refuses %s', async (query) => {
    const { app } = await prefixServer();
    expect((await get(app, `/v1/prefixes?${query}`)).body.error).toMatchObject({ param: 'limit', message: /1 to 100/ });
  });

  it('refuses an unknown query field', async () => {
    const { app } = await prefixServer();
    expect((await get(app, '/v1/prefixes?order=asc')).body.error).toMatchObject({ param: 'order' });
  });
});

describe('/v1/models', () => {
  it('has the base model and the caller’s prefixes', async () => {
    const { app } = await prefixServer();
    await upload(app, { name: 'users/alice' });
    const model = { object: 'model', created: 1_700_000_000 };
    const adapter_id = adapterId('default', 'users/alice');
    const prefix = { ...model, id: 'users/alice', owned_by: 'default', parent: 'tiny', adapter_id };
    const { body } = await get(app, '/v1/models');
    expect(body).toEqual({
      object: 'list',
      data: [{ ...model, id: 'tiny', owned_by: 'preamble', parent: null, adapter_id: null }, prefix],
    });
    expect((await get(app, '/v1/models/tiny')).body).toEqual(body.data[0]);
    expect((await get(app, '/v1/models/users%2Falice')).body).toEqual(prefix);
    expect((await get(app, `/v1/models/${adapter_id}`)).body).toEqual({ ...prefix, id: adapter_id });
    expect((await get(app, '/v1/models/nobody')).body.error).toMatchObject({ code: 'model_not_found', param: 'model' });
  });

  it('deletes a prefix, one version only where there is no other, and never the base model', async () => {
    const { app } = await prefixServer();
    const remove = async (id: string) => {
      const response = await app.inject({ method: 'DELETE', url: `/v1/models/${encodeURIComponent(id)}` });
      return { status: response.statusCode, body: response.json<Body>() };
    };
    const versions = [await upload(app), await upload(app, {}, 4)].map(({ body }) => `alice@${body.version}`);
    for (const id of ['tiny', versions[0]!]) {
      expect(await remove(id)).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid_value', param: 'model' } },
      });
    }
    expect(await remove('alice')).toEqual({ status: 200, body: { id: 'alice', object: 'model', deleted: true } });
    expect(await remove('alice')).toMatchObject({ status: 404, body: { error: { code: 'model_not_found' } } });
    await upload(app, { name: 'users/alice' });
    expect(await remove(adapterId('default', 'users/alice'))).toMatchObject({ status: 200 });
    const { body } = await upload(app);
    expect(await remove(`alice@${body.version.slice(0, 12)}`)).toMatchObject({ status: 200 });
    expect((await get(app, '/v1/models')).body.data).toHaveLength(1);
  });

  it('shows nothing of another tenant', async () => {
    const keys = ['a', 'b'].map((tenant) => ({ tenant, key: `key-${tenant}` }));
    const { app } = await prefixServer({ apiKeys: keys });
    const [a, b] = keys.map(({ key }) => ({ authorization: `Bearer ${key}` }));
    await upload(app, {}, 3, a);
    expect((await get(app, '/v1/models', a)).body.data).toHaveLength(2);
    expect((await get(app, '/v1/models', b)).body.data).toHaveLength(1);
    for (const url of ['/v1/models/alice', '/v1/prefixes/alice', '/v1/prefixes/alice/files/adapter_config.json']) {
      expect((await get(app, url, b)).status).toBe(404);
    }
    const body = { model: 'alice', prompt: 'x' };
    expect(await post(app, '/v1/completions', body, b)).toMatchObject({
      status: 404,
      body: { error: { code: 'model_not_found', param: 'model' } },
    });
    expect((await post(app, '/v1/completions', body, a)).status).toBe(200);
  });
});

describe('a completion with a prefix, on the real engine', () => {
  async function realServer(): Promise<{ app: FastifyInstance; engine: Engine }> {
    const runner = new FakeRunner({ slots: 4, contextLength: base.contextLength, vocabularySize: base.vocabularySize });
    const engine = new Engine({ runner, tokenizer: byteTokenizer, eosTokenIds: [0] });
    const { app } = await testServer({}, { engine, library: await testLibrary() });
    return { app, engine };
  }
  const completion = { prompt: 'abc', max_tokens: 8, temperature: 0, return_token_ids: true, ignore_eos: true };
  const idsOf = (body: Body): number[][] => body.choices.map((choice) => choice.token_ids ?? []);

  it('differs from one without, and counts the virtual tokens', async () => {
    const { app, engine } = await realServer();
    const version = (await upload(app)).body.version;
    await upload(app, { placement: 'infix' });
    const models = ['tiny', 'alice', `alice@${version}`, `alice@${version.slice(0, 12)}`];
    const answers = await Promise.all(models.map((model) => post(app, '/v1/completions', { ...completion, model })));
    const [without, infix, prefix, short] = answers.map(({ body }) => idsOf(body)[0]);
    expect(prefix).toEqual(short);
    expect(new Set([without, infix, prefix].map(String)).size).toBe(3);
    expect(answers.map(({ body }) => body.usage.prompt_tokens_details.prefix_tokens)).toEqual([0, 3, 3, 3]);
    expect(answers[1]?.body).toMatchObject({ model: 'alice', usage: { prompt_tokens: 3, completion_tokens: 8 } });
    engine.checkIntegrity();
  });

  it('is the same alone, in a batch, and as a stream', async () => {
    const { app, engine } = await realServer();
    await upload(app);
    await post(app, '/v1/prefixes', { name: 'bob', text: 'Hello' });
    const requests = ['tiny', 'alice', 'bob', 'tiny', 'alice', 'bob'].map((model, i) => ({
      custom_id: String(i),
      body: { ...completion, model, prompt: `abc${i}`, logprobs: 2, seed: i, temperature: 1 },
    }));
    const alone: unknown[] = [];
    for (const { body } of requests) alone.push(idsOf((await post(app, '/v1/completions', body)).body)[0]);
    const batch = await post(app, '/v1/batch/completions', { requests });
    expect(batch.body.data.map(({ response }) => idsOf(response.body)[0])).toEqual(alone);
    const streamed = requests.map((): number[] => []);
    for (const event of eventsOf((await post(app, '/v1/batch/completions', { requests, stream: true })).text)) {
      streamed[Number(event['custom_id'])]?.push(...(idsOf(event as unknown as Body)[0] ?? []));
    }
    expect(streamed).toEqual(alone);
    engine.checkIntegrity();
  });

  it('counts the prefix against the context', async () => {
    const { app } = await realServer();
    await upload(app);
    const body = { ...completion, model: 'alice', max_tokens: base.contextLength - 6 };
    expect((await post(app, '/v1/completions', body)).status).toBe(200);
    expect(
      (await post(app, '/v1/completions', { ...body, max_tokens: base.contextLength - 5 })).body.error,
    ).toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringContaining('3 of the prefix'),
    });
  });

  it('finishes with its prefix although that is deleted meanwhile', async () => {
    const { app } = await realServer();
    await upload(app);
    const url = await listen(app);
    const body = JSON.stringify({ ...completion, model: 'alice', stream: true, max_tokens: 50 });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body });
    await app.inject({ method: 'DELETE', url: '/v1/prefixes/alice' });
    expect(eventsOf(await response.text()).at(-1)).toMatchObject({ choices: [{ finish_reason: 'length' }] });
    expect((await post(app, '/v1/completions', { ...completion, model: 'alice' })).status).toBe(404);
  });

  it('frees its slots when the client goes away', async () => {
    const { app, engine } = await realServer();
    const url = await listen(app);
    const leave = new AbortController();
    const body = JSON.stringify({ ...completion, model: 'tiny', n: 6, max_tokens: 60, stream: true });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/v1/completions`, { method: 'POST', headers, body, signal: leave.signal });
    expect(engine.stats().running + engine.stats().waiting).toBe(6);
    leave.abort();
    await engine.idle();
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    engine.checkIntegrity();
  });
});
