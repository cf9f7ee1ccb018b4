import { describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { BlendEntry } from '../../src/engine/request.js';
import { type PrefixKv, selfRows } from '../../src/prefix/kv.js';
import type { PrefixLibrary } from '../../src/prefix/library.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { blendAlone } from '../engine/blend-reference.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { makeRequest } from '../engine/harness.js';
import { encodeForm } from '../support/http.js';
import { base, eventsOf, post, testServer } from './harness.js';
import { adapterFiles, testLibrary } from './prefix-library.js';
import { byteTokenizer } from './scripted-engine.js';

const url = '/v1/completions';
const { contextLength, vocabularySize } = base;
const fake = { contextLength, vocabularySize };
const minimal = { prompt: 'abcabc', max_tokens: 8, temperature: 0, ignore_eos: true, return_token_ids: true };
const chatTemplate = { render: () => 'abcabc' };

async function put(library: PrefixLibrary, name: string, length: number, placement?: 'infix') {
  const { config, model } = adapterFiles(length, {}, length);
  return library.upload('default', { name, config: Buffer.from(config), model, placement });
}

/** The real engine on the fake runner, and prefixes of all kinds. */
async function server(settings: Parameters<typeof testServer>[0] = {}, slots = 4) {
  const library = await testLibrary();
  await put(library, 'alice', 3);
  await put(library, 'houses/formal', 2);
  await put(library, 'late', 4, 'infix');
  await put(library, 'later', 5, 'infix');
  await library.uploadText('default', { name: 'polite', text: 'Dear', tokens: byteTokenizer.encode('Dear') });
  const engine = new Engine({
    runner: new FakeRunner({ ...fake, slots }),
    tokenizer: byteTokenizer,
    eosTokenIds: [0],
    limits: { promptCacheBytes: 10_000 },
  });
  const { app } = await testServer(settings, { library, engine, chatTemplate });
  const ask = async (fields: object) => post(app, url, { ...minimal, ...fields });
  const idsOf = async (fields: object) => (await ask(fields)).body.choices[0]?.token_ids;
  const kvOf = async (name: string): Promise<PrefixKv> => (await library.load('default', name)).kv;
  const entry = async (name: string | undefined, weight: number): Promise<BlendEntry> => ({
    prefix: name === undefined ? undefined : { kv: await kvOf(name), placement: 'prefix' },
    weight,
  });
  return { app, library, engine, ask, idsOf, kvOf, entry };
}

/** Uploads one prefix that has the rows of several, in order. */
async function join(library: PrefixLibrary, name: string, kvs: readonly PrefixKv[]): Promise<void> {
  const data = Float32Array.from(kvs.flatMap((kv) => [...selfRows(kv)]));
  const length = kvs.reduce((sum, kv) => sum + kv.length, 0);
  const model = encodeSafetensors({ prompt_embeddings: { shape: [length, data.length / length], data } });
  await library.upload('default', { name, config: Buffer.from(adapterFiles(length).config), model });
}

describe('a composition', () => {
  it.each([
    ['alice', 'houses/formal'],
    ['houses/formal', 'alice'],
    ['alice', 'alice'],
    ['polite', 'alice', 'houses/formal'],
  ])('is what one prefix with the rows of all is: %s+%s', async (...names) => {
    const { library, ask, kvOf } = await server();
    await join(library, 'joined', await Promise.all(names.map(kvOf)));
    const common = { logprobs: 2, temperature: 1, seed: 5 };
    const [composed, joined] = [
      await ask({ ...common, model: names.join('+') }),
      await ask({ ...common, model: 'joined' }),
    ];
    expect(composed.status).toBe(200);
    expect(composed.body.choices).toEqual(joined.body.choices);
    expect(composed.body.usage).toEqual(joined.body.usage);
    expect(composed.body.usage.prompt_tokens_details.prefix_tokens).toBeGreaterThan(4);
    expect(composed.body).toMatchObject({ model: names.join('+') });
  });

  it('keeps the order, and takes versions, infixes among themselves, batches, streams and chats', async () => {
    const { app, library, idsOf, ask } = await server();
    const ids = await idsOf({ model: 'alice+houses/formal' });
    expect(ids).toHaveLength(8);
    expect(await idsOf({ model: 'houses/formal+alice' })).not.toEqual(ids);
    const { version } = await library.get('default', 'alice');
    expect(await idsOf({ model: `alice@${version.slice(0, 12)}+houses/formal` })).toEqual(ids);
    expect(await idsOf({ model: 'late+later' })).toHaveLength(8);
    expect(await idsOf({ model: 'later+late' })).not.toEqual(await idsOf({ model: 'late+later' }));
    const model = 'alice+houses/formal';
    const events = eventsOf((await ask({ model, stream: true })).text) as { choices: { token_ids: number[] }[] }[];
    expect(events.flatMap(({ choices }) => choices[0]?.token_ids ?? [])).toEqual(ids);
    const requests = [{ custom_id: 'a', body: { ...minimal, model } }];
    const { body } = await post(app, '/v1/batch/completions', { requests });
    expect(body.data[0]?.response.body.choices[0]?.token_ids).toEqual(ids);
    const { prompt: _, max_tokens, ...fields } = minimal;
    const chat = { ...fields, model, max_completion_tokens: max_tokens, messages: [{ role: 'user', content: 'x' }] };
    expect((await post(app, '/v1/chat/completions', chat)).body.choices[0]?.token_ids).toEqual(ids);
    const beams = await ask({ model, use_beam_search: true, n: 2 });
    expect(beams.body.choices).toHaveLength(2);
  });

  it.each([
    ['alice+nobody', 404, 'model_not_found', `'nobody'`],
    ['nobody+alice', 404, 'model_not_found', `'nobody'`],
    ['alice+', 404, 'model_not_found', `''`],
    ['alice++houses/formal', 404, 'model_not_found', `''`],
    ['alice@0123456789ab+houses/formal', 404, 'model_not_found', `'alice@0123456789ab'`],
    ['alice+tiny', 400, 'invalid_value', `base model 'tiny'`],
    ['alice+late', 400, 'invalid_value', 'one placement'],
    [Array(9).fill('alice').join('+'), 400, 'invalid_value', '8 are the limit'],
    [Array(8).fill('late+later').slice(0, 4).join('+'), 200, undefined, ''],
  ])('%s is answered with %i', async (model, status, code, message) => {
    const { ask } = await server();
    const answer = await ask({ model });
    expect(answer.status).toBe(status);
    if (code === undefined) return;
    expect(answer.body.error).toMatchObject({ code, param: 'model' });
    expect(answer.body.error.message).toContain(message);
  });

  it('counts all its virtual tokens against the context', async () => {
    const { ask } = await server();
    const room = contextLength - 5 - 6;
    expect((await ask({ model: 'alice+houses/formal', max_tokens: room })).status).toBe(200);
    const { body } = await ask({ model: 'alice+houses/formal', max_tokens: room + 1 });
    expect(body.error).toMatchObject({ code: 'context_length_exceeded' });
    expect(body.error.message).toContain('5 of the prefix');
  });

  it('finds prompts in the cache that it has computed, and none that another one has, nor its parts', async () => {
    const { ask } = await server();
    const prompt = 'abcdefgh'.repeat(4);
    const models = ['alice', 'alice+houses/formal', 'houses/formal+alice', 'alice+alice'];
    for (const model of models) {
      const [first, second] = [await ask({ model, prompt }), await ask({ model, prompt })];
      const cached = [first, second].map(({ body }) => body.usage.prompt_tokens_details.cached_tokens);
      expect(cached).toEqual([0, 16]);
      expect(second.body.choices).toEqual(first.body.choices);
    }
    const blend = models.slice(0, 2).map((model) => ({ model, weight: 0.5 }));
    expect((await ask({ blend, prompt })).body.usage.prompt_tokens_details.cached_tokens).toBe(16);
  });

  it('is no prefix of its own', async () => {
    const { app } = await server();
    for (const path of ['/v1/models/', '/v1/prefixes/']) {
      const response = await app.inject(`${path}${encodeURIComponent('alice+houses/formal')}`);
      expect(response.statusCode).toBe(404);
    }
    const { status } = await post(app, '/v1/prefixes', { name: 'a+b', text: 'Dear' });
    expect(status).toBe(400);
  });
});

describe('a blend', () => {
  const prompt = byteTokenizer.encode(minimal.prompt);
  const sampling = { temperature: 0.9, topP: 1, topK: 0, seed: 7 };

  it.each([
    ['a stronger prefix', [['alice', 1.5], [undefined, -0.5]]], // prettier-ignore
    ['an ensemble', [['alice', 1 / 3], ['houses/formal', 1 / 3], ['polite', 1 / 3]]], // prettier-ignore
  ] as const)('is what arithmetic over its entries gives: %s', async (_, weights) => {
    const { ask, entry } = await server();
    const entries = await Promise.all(weights.map(([name, weight]) => entry(name, weight)));
    const blend = weights.map(([model = base.id, weight]) => ({ model, weight }));
    for (const greedy of [true, false]) {
      const drawn = greedy ? makeRequest().sampling : sampling;
      const request = { ...makeRequest({ prompt, sampling: drawn }), entries };
      const expected = await blendAlone(request, fake);
      const { body } = await ask({ blend, temperature: drawn.temperature, seed: drawn.seed ?? 0, logprobs: 0 });
      expect(body.choices[0]?.token_ids).toEqual(expected.ids);
      body.choices[0]?.logprobs?.token_logprobs.forEach((logprob, i) => {
        expect(logprob).toBeCloseTo(expected.logprobs[prompt.length - 1 + i]![expected.ids[i]!]!, 4);
      });
    }
  });

  it('counts its prompt once, and the virtual tokens of all entries', async () => {
    const { ask } = await server();
    const blend = [
      { model: 'alice+houses/formal', weight: 0.5 },
      { model: 'polite', weight: 0.5 },
      { model: 'tiny', weight: 0.1 },
    ];
    const { body } = await ask({ blend });
    expect(body).toMatchObject({
      model: 'tiny',
      usage: { prompt_tokens: 6, completion_tokens: 8, prompt_tokens_details: { prefix_tokens: 5 + 4 } },
    });
  });

  it('with one entry that counts, and once, is that entry alone', async () => {
    const { ask } = await server();
    const sampled = { temperature: 1, seed: 3, logprobs: 3 };
    const alone = (await ask({ ...sampled, model: 'alice' })).body;
    const blend = [
      { model: 'alice', weight: 1 },
      { model: 'polite', weight: 0 },
    ];
    for (const fields of [{ blend }, { blend, model: 'alice' }, { model: 'alice', guidance_scale: 1 }]) {
      const { body } = await ask({ ...sampled, ...fields });
      expect(body.choices).toEqual(alone.choices);
      expect(body.usage).toEqual(alone.usage);
    }
    const unguided = await ask({ ...sampled, model: 'alice', guidance_scale: 0 });
    expect(unguided.body.choices).toEqual((await ask({ ...sampled, model: 'tiny' })).body.choices);
  });

  it('has a short form for strength', async () => {
    const { ask } = await server();
    const blend = [
      { model: 'alice', weight: 2.5 },
      { model: 'tiny', weight: -1.5 },
    ];
    const [long, short] = [
      await ask({ blend, logprobs: 1 }),
      await ask({ model: 'alice', guidance_scale: 2.5, logprobs: 1 }),
    ];
    expect(short.body.choices).toEqual(long.body.choices);
    expect(short.body.choices[0]?.token_ids).not.toEqual((await ask({ model: 'alice' })).body.choices[0]?.token_ids);
  });

  it('works with choices, streams, stop strings, echoes, batches and chats', async () => {
    const { app, ask, engine } = await server();
    const blend = [
      { model: 'alice', weight: 1.5 },
      { model: 'polite', weight: -0.5 },
    ];
    const drawn = { blend, temperature: 1, seed: 4 };
    const three = (await ask({ ...drawn, n: 3 })).body.choices;
    expect(new Set(three.map(({ token_ids }) => token_ids?.join())).size).toBe(3);
    const best = (await ask({ ...drawn, n: 1, best_of: 3 })).body.choices;
    expect(three.map(({ token_ids }) => token_ids)).toContainEqual(best[0]?.token_ids);
    const events = eventsOf((await ask({ ...drawn, stream: true })).text) as { choices: { token_ids: number[] }[] }[];
    const ids = events.flatMap(({ choices }) => choices[0]?.token_ids ?? []);
    expect(ids).toEqual(three[0]?.token_ids);
    const text = three[0]?.text ?? '';
    const stopped = (await ask({ ...drawn, stop: text.slice(2, 4) })).body.choices[0];
    expect(stopped).toMatchObject({ text: text.slice(0, text.indexOf(text.slice(2, 4))), finish_reason: 'stop' });
    const requests = [{ custom_id: 'a', body: { ...minimal, ...drawn } }];
    const { body } = await post(app, '/v1/batch/completions', { requests });
    expect(body.data[0]?.response.body.choices[0]?.token_ids).toEqual(ids);
    const { prompt: _, max_tokens, ...fields } = minimal;
    const chat = { ...fields, ...drawn, messages: [{ role: 'user', content: 'x' }] };
    const said = await post(app, '/v1/chat/completions', { ...chat, max_completion_tokens: max_tokens });
    expect(said.body.choices[0]?.token_ids).toEqual(ids);
    const long = await post(app, '/v1/chat/completions', chat);
    expect(long.body.choices[0]?.token_ids).toHaveLength(contextLength - 4 - 6); // as many as the longest prefix leaves
    const echoed = (await ask({ prompt: [...prompt, ...ids], blend, max_tokens: 0, echo: true, logprobs: 1 })).body;
    const scored = (await ask({ ...drawn, logprobs: 1 })).body.choices[0]?.logprobs?.token_logprobs;
    echoed.choices[0]?.logprobs?.token_logprobs.slice(6).forEach((logprob, i) => {
      expect(logprob).toBeCloseTo(scored?.[i] ?? NaN, 4);
    });
    const ranks = await ask({ blend, max_tokens: 1, prompt_logprobs: 1 });
    expect(ranks.status).toBe(200);
    engine.checkIntegrity();
  });

  it('takes the tokens of every row from the tenant’s limits, and gives back what it did not use', async () => {
    const { ask } = await server({ tokensPerMinute: 1000 });
    const blend = [
      { model: 'alice', weight: 1.5 },
      { model: 'tiny', weight: -0.5 },
    ];
    const remaining = async (fields: object): Promise<number> =>
      Number((await ask(fields)).headers['x-ratelimit-remaining-tokens']);
    const first = await remaining({ blend });
    expect(first).toBe(1000 - 2 * (6 + 8));
    const stopped = await remaining({ blend, max_tokens: 0 });
    expect(first - stopped).toBeLessThanOrEqual(2 * 6);
  });

  it('that has more rows than there are slots is refused by the field that asks for it', async () => {
    const { ask } = await server({}, 1);
    const { body } = await ask({ model: 'alice', guidance_scale: 2 });
    expect(body.error).toMatchObject({ code: 'invalid_value', param: 'guidance_scale' });
    expect(body.error.message).toContain('2 entries needs as many slots: 1 to 1 are possible');
  });

  const alice = { model: 'alice', weight: 1 };
  const nobody = { model: 'alice+nobody', weight: 0 };

  it.each([
    ['one entry', { blend: [alice] }, 400, 'invalid_value', 'blend'],
    ['nine', { blend: Array(9).fill(alice) }, 400, 'invalid_value', 'blend'],
    ['more than there are slots', { blend: Array(5).fill(alice) }, 400, 'invalid_value', 'blend'],
    ['a great weight', { blend: [alice, { model: 'tiny', weight: 10.5 }] }, 400, 'invalid_value', 'blend[1].weight'],
    [
      'a weight that is text',
      { blend: [alice, { model: 'tiny', weight: '1' }] },
      400,
      'invalid_type',
      'blend[1].weight',
    ],
    ['no weight', { blend: [alice, { model: 'tiny' }] }, 400, 'missing_parameter', 'blend[1].weight'],
    ['another field', { blend: [alice, { ...alice, bias: 1 }] }, 400, 'unknown_parameter', 'blend[1].bias'],
    [
      'no weight but 0',
      {
        blend: [
          { ...alice, weight: 0 },
          { model: 'tiny', weight: 0 },
        ],
      },
      400,
      'invalid_value',
      'blend',
    ],
    ['an entry that is not there', { blend: [alice, nobody] }, 404, 'model_not_found', 'blend[1].model'],
    ['another model', { model: 'polite', blend: [alice, alice] }, 400, 'invalid_value', 'model'],
    ['no model', {}, 400, 'missing_parameter', 'model'],
    ['no model, but strength', { guidance_scale: 2 }, 400, 'missing_parameter', 'model'],
    ['strength of the base', { model: 'tiny', guidance_scale: 2 }, 400, 'invalid_value', 'guidance_scale'],
    ['strength of nobody', { model: 'nobody', guidance_scale: 2 }, 404, 'model_not_found', 'model'],
    ['two ways', { blend: [alice, alice], guidance_scale: 2 }, 400, 'invalid_value', 'guidance_scale'],
    ['too much strength', { model: 'alice', guidance_scale: 10.5 }, 400, 'invalid_value', 'guidance_scale'],
    ['beams', { blend: [alice, alice], use_beam_search: true }, 400, 'invalid_value', 'blend'],
    [
      'beams with strength',
      { model: 'alice', guidance_scale: 2, use_beam_search: true },
      400,
      'invalid_value',
      'guidance_scale',
    ],
    [
      'an entry too long',
      { blend: [alice, { model: 'tiny', weight: 1 }], max_tokens: 56 },
      400,
      'context_length_exceeded',
      'prompt',
    ],
  ] as const)('is refused: %s', async (_, fields, status, code, param) => {
    const { ask } = await server();
    const answer = await ask(fields);
    expect(answer.body.error).toMatchObject({ code, param });
    expect(answer.status).toBe(status);
  });
});

it('a conversation is rendered by the one template that its prefixes have', async () => {
  const { app, library } = await server();
  for (const [name, text] of [
    ['own', 'own:'],
    ['same', 'own:'],
    ['other', 'other:'],
  ] as const) {
    const { config, model } = adapterFiles(2, {}, 6);
    await library.upload('default', { name, config: Buffer.from(config), model, template: Buffer.from(text) });
  }
  const chat = { messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 2, return_token_ids: true };
  const promptOf = async (fields: object): Promise<string> => {
    const { status, text } = await post(app, '/v1/chat/completions', { ...chat, ...fields });
    if (status !== 200) return text;
    return Buffer.from((JSON.parse(text) as { prompt_token_ids: number[] }).prompt_token_ids).toString();
  };
  const blend = (...names: string[]) => ({ blend: names.map((model) => ({ model, weight: 0.5 })) });
  expect(await promptOf({ model: 'alice+own+same' })).toBe('own:');
  expect(await promptOf(blend('alice', 'own', 'tiny'))).toBe('own:');
  expect(await promptOf({ model: 'own', guidance_scale: 1.5 })).toBe('own:');
  expect(await promptOf(blend('alice', 'tiny'))).toBe('abcabc');
  for (const fields of [{ model: 'own+other' }, blend('own', 'other')]) {
    expect(await promptOf(fields)).toContain('2 different chat templates');
  }
});

it('another tenant’s prefix is not found, wherever it is named', async () => {
  const library = await testLibrary();
  const apiKeys = [
    { tenant: 'owner', key: 'owner-key' },
    { tenant: 'stranger', key: 'stranger-key' },
  ];
  const { app } = await testServer({ apiKeys }, { library, chatTemplate });
  const upload = async (name: string, key: string): Promise<void> => {
    const { config, model } = adapterFiles(2);
    const form = await encodeForm({
      name,
      adapter_config: [config, 'c.json'],
      adapter_model: [model, 'm.safetensors'],
    });
    const headers = { ...form.headers, authorization: `Bearer ${key}` };
    const { statusCode } = await app.inject({
      method: 'POST',
      url: '/v1/prefixes',
      headers,
      payload: Buffer.from(form.body),
    });
    expect(statusCode).toBe(201);
  };
  await upload('secret', 'owner-key');
  await upload('own', 'stranger-key');
  const entry = (model: string) => ({ model, weight: 0.5 });
  const bodies = [
    { model: 'own+secret' },
    { model: 'secret+own' },
    { model: 'secret', guidance_scale: 1 },
    { blend: [entry('own'), entry('secret')] },
    { blend: [entry('own'), { model: 'secret', weight: 0 }] },
    { blend: [entry('own'), entry('own+secret')] },
  ];
  for (const body of bodies) {
    const chat = { ...body, messages: [{ role: 'user', content: 'x' }] };
    for (const [path, payload] of [
      [url, { ...body, prompt: 'x' }],
      ['/v1/chat/completions', chat],
    ] as const) {
      const found = await post(app, path, payload, { authorization: 'Bearer stranger-key' });
      expect(found.status).toBe(404);
      expect(found.body.error.message).toBe(`The model 'secret' does not exist.`);
    }
  }
});
