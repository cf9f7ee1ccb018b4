import { expect, it, vi } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import { adapterId } from '../../src/prefix/name.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base, type Body, eventsOf, post, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';
import { byteTokenizer } from './scripted-engine.js';

const completion = { prompt: 'abc', max_tokens: 8, temperature: 0, return_token_ids: true, ignore_eos: true };
const authorization = (tenant: string) => ({ authorization: `Bearer key-${tenant}` });
const tokensOf = (body: Body): unknown => body.choices.map((choice) => choice.token_ids);

/** The real engine and library for the tenants `A` and `b`; what is posted is `A`'s unless it says otherwise. */
async function adapterServer() {
  const runner = new FakeRunner({ slots: 4, contextLength: base.contextLength, vocabularySize: base.vocabularySize });
  const engine = new Engine({ runner, tokenizer: byteTokenizer, eosTokenIds: [0] });
  const apiKeys = ['A', 'b'].map((tenant) => ({ tenant, key: `key-${tenant}` }));
  const { app } = await testServer({ apiKeys }, { engine, library: await testLibrary() });
  const call = (url: string, body: object, tenant = 'A') => post(app, url, body, authorization(tenant));
  const upload = async (name: string, text: string, tenant = 'A') =>
    (await call('/v1/prefixes', { name, text }, tenant)).body;
  const complete = (model: string, tenant = 'A') => call('/v1/completions', { ...completion, model }, tenant);
  const remove = (name: string) =>
    app.inject({ method: 'DELETE', url: `/v1/prefixes/${name}`, headers: authorization('A') });
  const get = (url: string) => app.inject({ url, headers: authorization('A') });
  return { app, engine, call, upload, complete, remove, get };
}

it('gives by the id what it gives by the name, also a version and in a batch', async () => {
  const { engine, call, upload, complete } = await adapterServer();
  const { version } = await upload('Users/Alice', 'Dear');
  await upload('Users/Alice', 'Hello');
  await upload('bob', 'Dear');
  const id = adapterId('A', 'Users/Alice');
  const models = ['Users/Alice', `Users/Alice@${version.slice(0, 12)}`, 'tiny'];
  const byName = await Promise.all(models.map((model) => complete(model)));
  expect(new Set(byName.map(({ body }) => String(tokensOf(body)))).size).toBe(models.length);
  const ids = models.map((model) => model.replace('Users/Alice', id));
  const byId = await Promise.all(ids.map((model) => complete(model)));
  expect(byId.map(({ body }) => tokensOf(body))).toEqual(byName.map(({ body }) => tokensOf(body)));
  expect(byId.map(({ body }) => body)).toMatchObject(ids.map((model) => ({ model })));
  const requests = [...ids, '0123456789abcdef'].map((model, i) => ({
    custom_id: String(i),
    body: { ...completion, model },
  }));
  const { data } = (await call('/v1/batch/completions', { requests })).body;
  const [missing, ...found] = [...data].reverse();
  expect(missing?.response).toMatchObject({ status_code: 404, body: { error: { code: 'model_not_found' } } });
  expect(found.reverse().map(({ response }) => tokensOf(response.body))).toEqual(
    byName.map(({ body }) => tokensOf(body)),
  );
  engine.checkIntegrity();
});

it('echoes the id, and shares what the name has in memory and in metrics', async () => {
  const { engine, call, upload } = await adapterServer();
  await upload('alice', 'Dear');
  const id = adapterId('A', 'alice');
  const submit = vi.spyOn(engine, 'submit');
  for (const model of ['alice', id]) {
    const { text } = await call('/v1/completions', { ...completion, model, stream: true });
    expect(eventsOf(text).map((event) => event['model'])).toEqual(eventsOf(text).map(() => model));
  }
  const [byName, byId] = submit.mock.calls.map(([{ prefix }]) => prefix);
  expect(byName).toMatchObject({ ids: [id] });
  expect(byId).toEqual(byName);
  expect(byId?.kv).toBe(byName?.kv);
});

it('does not find an unknown id, another tenant’s, or one whose name was deleted, with the same words as a name', async () => {
  const { upload, complete, remove } = await adapterServer();
  await upload('alice', 'Dear');
  await upload('alice', 'Hello', 'b');
  const [mine, other] = [adapterId('A', 'alice'), adapterId('b', 'alice')];
  const saysNothing = async (model: string, tenant?: string): Promise<void> => {
    const { status, body } = await complete(model, tenant);
    const unknown = await complete('nobody', tenant);
    expect([status, JSON.stringify(body).replaceAll(model, 'nobody')]).toEqual([404, unknown.text]);
  };
  expect([(await complete(mine)).status, (await complete(other, 'b')).status]).toEqual([200, 200]);
  await saysNothing('0123456789abcdef');
  await saysNothing('0123456789abcdef@0123456789ab');
  await saysNothing(`${mine}@0123456789ab`);
  await saysNothing(other);
  await saysNothing(mine, 'b');
  await saysNothing(mine.toUpperCase());
  await remove('alice');
  await saysNothing(mine);
  await upload('alice', 'Hello');
  expect((await complete(mine)).status).toBe(200);
});

it('takes a name that looks like an id for a name', async () => {
  const { upload, complete, remove } = await adapterServer();
  await upload('alice', 'Dear');
  const id = adapterId('A', 'alice');
  const byId = tokensOf((await complete(id)).body);
  await upload(id, 'Hello');
  const byName = tokensOf((await complete(id)).body);
  expect(byName).not.toEqual(byId);
  expect(tokensOf((await complete(adapterId('A', id))).body)).toEqual(byName);
  await remove(id);
  expect(tokensOf((await complete(id)).body)).toEqual(byId);
});

it('is what models are asked for by, and no name of a prefix', async () => {
  const { upload, get, remove } = await adapterServer();
  const { version } = await upload('alice', 'Dear');
  const id = adapterId('A', 'alice');
  const model = { object: 'model', owned_by: 'A', parent: 'tiny', adapter_id: id };
  expect((await get(`/v1/models/${id}`)).json()).toMatchObject({ ...model, id });
  const versioned = `${id}@${version.slice(0, 12)}`;
  expect((await get(`/v1/models/${versioned}`)).json()).toMatchObject({ ...model, id: versioned });
  expect((await get(`/v1/models/${adapterId('b', 'alice')}`)).statusCode).toBe(404);
  for (const url of [`/v1/prefixes/${id}`, `/v1/prefixes/${id}/files/adapter_config.json`]) {
    expect((await get(url)).statusCode).toBe(404);
  }
  expect((await remove(id)).statusCode).toBe(404);
  expect((await get('/v1/prefixes/alice')).json()).toMatchObject({ name: 'alice', adapter_id: id });
});
