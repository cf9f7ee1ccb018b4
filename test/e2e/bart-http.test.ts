import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import type { Config } from '../../src/config/variables.js';
import { packageRoot } from '../../src/config/paths.js';
import { adapterFiles, temporaryDirectory } from '../server/prefix-library.js';
import { encodeForm, send } from '../support/http.js';
import { modelCache } from '../support/models.js';
import { randomAdapter, randomBart, randomPrefix } from '../support/random-bart.js';
import { type RealServer, realServer } from '../support/real-server.js';

const { directory, reference } = randomBart();
const TEXT = 'a text to be told in short';
/** What the tokenizer makes of it, with the special tokens around it. */
const SOURCE_LENGTH = TEXT.length + 2;

const serve = (overrides: Partial<Config> = {}): Promise<RealServer> =>
  realServer({ model: directory, cache: modelCache, ...overrides });

/** What tests look at in an answer. */
interface Body {
  readonly choices: { readonly text: string; readonly token_ids: number[]; readonly prompt_token_ids: number[] }[];
  readonly usage: Record<string, unknown>;
  readonly error: { readonly code: string; readonly param: string; readonly message: string };
}

async function call({ url }: RealServer, path: string, body?: object, key = 'none') {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await send(url, { method: body ? 'POST' : 'GET', path, headers, body });
  return { status: answer.status, text: answer.text, body: (): Body => JSON.parse(answer.text) as Body };
}

const complete = (server: RealServer, fields: object, key?: string) => {
  const body = { model: 'random-bart', prompt: TEXT, max_tokens: 6, temperature: 0, ignore_eos: true };
  return call(server, '/v1/completions', { ...body, return_token_ids: true, ...fields }, key);
};

const idsOf = async (server: RealServer, fields: object, key?: string) => {
  const { status, text, body } = await complete(server, fields, key);
  expect(status, text).toBe(200);
  return body().choices.map(({ token_ids: ids }) => ids);
};

async function upload(
  { url }: RealServer,
  files: { config: string; model: Uint8Array },
  fields: Record<string, string> = {},
  key = 'none',
) {
  const { body, headers } = await encodeForm({
    name: 'mine',
    ...fields,
    adapter_config: [files.config, 'adapter_config.json'],
    adapter_model: [new Uint8Array(files.model), 'adapter_model.safetensors'],
  });
  const answer = await send(url, {
    ...{ method: 'POST', path: '/v1/prefixes', body },
    headers: { ...headers, authorization: `Bearer ${key}` },
  });
  return { status: answer.status, text: answer.text, body: () => JSON.parse(answer.text) as Body };
}

/** What the model's definition answers. */
function expected(source: readonly number[], kv: Parameters<typeof reference.logits>[2], length = 6): number[] {
  const ids: number[] = [];
  while (ids.length < length) {
    const row = reference.logits(source, [2, ...ids], kv).at(-1) ?? [];
    ids.push(row.indexOf(Math.max(...row)));
  }
  return ids;
}

describe('a server of a BART', () => {
  it('gives two tenants with a prefix of one name their own', async () => {
    const apiKeys = ['a', 'b'].map((tenant) => ({ tenant, key: `key-of-${tenant}` }));
    const server = await serve({ apiKeys });
    const { base } = server.model;
    const sites = [{ encoder: 3, decoder: 2, cross: 4 }, { decoder: 5 }];
    for (const [i, { key }] of apiKeys.entries()) {
      expect((await upload(server, randomAdapter(base, sites[i] ?? {}, i), {}, key)).status).toBe(201);
    }
    const prompt = [0, 40, 41, 99, 7, 2];
    const answers = await Promise.all(apiKeys.map(({ key }) => idsOf(server, { model: 'mine', prompt }, key)));
    expect(answers).toEqual(sites.map((lengths, i) => [expected(prompt, randomPrefix(base, lengths, i))]));
    expect(answers[0]).not.toEqual(answers[1]);
  });

  it('counts the source and what follows the start, and the longest site of a prefix', async () => {
    const server = await serve();
    await upload(server, randomAdapter(server.model.base, { encoder: 3, cross: 5 }, 1));
    const { body } = await complete(server, { model: 'mine', n: 2, best_of: 3 });
    expect(body().choices).toHaveLength(2);
    expect(body().choices[0]?.prompt_token_ids).toHaveLength(SOURCE_LENGTH);
    expect(body().usage).toMatchObject({
      ...{ prompt_tokens: SOURCE_LENGTH, completion_tokens: 18, total_tokens: SOURCE_LENGTH + 18 },
      prompt_tokens_details: { prefix_tokens: 5 },
    });
  });

  it('keeps its prefixes over a restart, and serves them with room for one', async () => {
    const store = { kind: 'file', directory: await temporaryDirectory() } as const;
    const first = await serve({ store });
    const { base } = first.model;
    const names = ['p', 'q', 'r'];
    const sites = [
      { encoder: 1, decoder: 2 },
      { cross: 3, decoder: 7 },
      { encoder: 2, cross: 8 },
    ];
    for (const [i, name] of names.entries()) {
      expect((await upload(first, randomAdapter(base, sites[i] ?? {}, i), { name })).status).toBe(201);
    }
    const prompt = [0, 40, 41, 99, 7, 2];
    const ask = (server: RealServer) => Promise.all(names.map((model) => idsOf(server, { model, prompt })));
    const answers = sites.map((lengths, i) => [expected(prompt, randomPrefix(base, lengths, i))]);
    expect(await ask(first)).toEqual(answers);
    await first.close();
    const again = await serve({ store, prefixCacheBytes: 4096 });
    expect(await ask(again)).toEqual(answers);
    expect(await ask(again)).toEqual(answers);
    expect(new Set(answers.map(String)).size).toBeGreaterThan(1);
  });

  it.each(['int8', 'int4'] as const)('with weights of %s answers, alone as in company', async (weights) => {
    const server = await serve({ weights, kv: 'float16' });
    const prompts = [3, 9, 17].map((length) => Array.from({ length }, (_, i) => (i * 37 + length) % 264));
    const alone = [];
    for (const prompt of prompts) alone.push(await idsOf(server, { prompt }));
    expect(await Promise.all(prompts.map((prompt) => idsOf(server, { prompt })))).toEqual(alone);
  });

  it.each([
    [{ echo: true }, 'unsupported_parameter', 'echo'],
    [{ suffix: 'x' }, 'unsupported_parameter', 'suffix'],
    [{ prompt: 'x'.repeat(63) }, 'context_length_exceeded', 'prompt'],
    [{ prompt: [264] }, 'invalid_value', 'prompt'],
    [{ max_tokens: 64 }, 'context_length_exceeded', 'max_tokens'],
    [{ forced_bos_token_id: 264 }, 'invalid_value', 'forced_bos_token_id'],
    [{ forced_eos_token_id: -1 }, 'invalid_value', 'forced_eos_token_id'],
    [{ min_tokens: 7 }, 'invalid_value', 'min_tokens'],
  ])('refuses %j by name', async (fields, code, param) => {
    const { status, body } = await complete(await serve(), fields);
    expect([status, body().error.code, body().error.param]).toEqual([400, code, param]);
  });

  it('refuses prefixes of a decoder-only model, infixes and texts', async () => {
    const server = await serve();
    const { base } = server.model;
    const infix = await upload(server, randomAdapter(base, { decoder: 2 }, 1), { placement: 'infix' });
    expect([infix.status, infix.body().error.param], infix.text).toEqual([400, 'placement']);
    const foreign = await upload(server, adapterFiles(3));
    expect(foreign.text).toContain('random-bart is an encoder-decoder');
    const text = await call(server, '/v1/prefixes', { name: 'words', text: 'Be short.' });
    expect([text.status, text.body().error.param], text.text).toEqual([400, 'text']);
    const reverse = await realServer({ model: join(packageRoot, 'test/goldens/models/tiny-a'), cache: modelCache });
    const refused = await upload(reverse, randomAdapter(base, { encoder: 2, decoder: 2 }, 1));
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('tiny-a is a decoder-only model')]);
  });

  it('says that it is ready, what it is, and counts pieces of sources', async () => {
    const server = await serve();
    await idsOf(server, {});
    expect((await call(server, '/readyz')).status).toBe(200);
    const models = JSON.parse((await call(server, '/v1/models')).text) as { data: object[] };
    expect(models.data[0]).toMatchObject({ id: 'random-bart' });
    const metrics = (await call(server, '/metrics')).text;
    const steps = /preamble_step_seconds_count\{[^}]*kind="encode"[^}]*\} (\d+)/.exec(metrics)?.[1];
    expect(Number(steps)).toBe(4); // its embedding, and 3 layers
    const prompts = /preamble_prompt_tokens_total\{[^}]*\} (\d+)/.exec(metrics)?.[1];
    expect(Number(prompts)).toBe(SOURCE_LENGTH);
  });
});
