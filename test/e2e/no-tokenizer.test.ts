import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';

import { type App, createApp } from '../../src/app/app.js';
import { defaultConfig } from '../../src/config/config.js';
import { type Outcome, preamble } from '../cli/preamble.js';
import { post } from '../server/harness.js';
import { golden } from '../support/goldens.js';

let app: App;
let directory: string;
let model: string;
let cache: string;
beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'no-tokenizer-'));
  [model, cache] = [path.join(directory, 'proteins'), path.join(directory, 'cache')];
  await fs.cp(golden('tiny-a').directory, model, { recursive: true });
  for (const file of await fs.readdir(model)) if (file.includes('token')) await fs.rm(path.join(model, file));
  const store = { kind: 'file', directory: path.join(directory, 'store') } as const;
  app = await createApp({ ...defaultConfig(), model, cache, store, slots: 2, threads: 2, logLevel: 'silent' });
});
afterAll(async () => {
  await app.close();
  await fs.rm(directory, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

const refused = (param: string): object => ({
  error: { code: 'text_unsupported', param, message: expect.stringContaining('no tokenizer') as string },
});
const ask = (fields: object) =>
  post(app.server.app, '/v1/completions', { model: 'proteins', max_tokens: 3, temperature: 0, ...fields });

it.each([
  ['prompt', { prompt: 'abc' }],
  ['prompt', { prompt: ['abc'] }],
  ['stop', { prompt: [1], stop: 'c' }],
])('refuses text, naming %s', async (param, fields) => {
  expect(await ask(fields)).toMatchObject({ status: 400, body: refused(param) });
});

it('refuses a text prefix', async () => {
  const answer = await post(app.server.app, '/v1/prefixes', { name: 'n', text: 'words' });
  expect(answer).toMatchObject({ status: 400, body: refused('text') });
});

it('answers with ids and an empty text; tokens are named by their ids, each its own', async () => {
  const { status, body } = await ask({ prompt: [97, 98], logprobs: 5, echo: true, return_token_ids: true });
  expect(status).toBe(200);
  const [choice] = (body as unknown as { choices: Choice[] }).choices;
  expect(choice).toMatchObject({ text: '', prompt_token_ids: [97, 98] });
  const ids = choice?.token_ids ?? [];
  expect(ids).toHaveLength(3);
  expect(choice?.logprobs.tokens).toEqual([97, 98, ...ids].map((id) => `token_id:${id}`));
  expect(choice?.logprobs.text_offset).toEqual([0, 0, 0, 0, 0]);
  for (const top of choice?.logprobs.top_logprobs.slice(2) ?? []) expect(Object.keys(top ?? {})).toHaveLength(5);
});

it('trains on token ids, and refuses texts by file and line', async () => {
  vi.stubEnv('PREAMBLE_CACHE', cache);
  const tune = async (line: object): Promise<Outcome> => {
    const data = path.join(directory, 'data.jsonl');
    await fs.writeFile(data, `${JSON.stringify(line)}\n`);
    return preamble(
      'tune',
      '--model',
      model,
      '--train',
      data,
      '--out',
      path.join(directory, 'out'),
      '--max-steps',
      '1',
      '--mlp',
      '0',
    );
  };
  expect((await tune({ prompt: [1, 2], completion: [3] })).status).toBe(0);
  expect(await tune({ prompt: 'ab', completion: [3] })).toMatchObject({
    status: 1,
    err: expect.stringMatching(/data\.jsonl.*line 1.*no tokenizer.*token ids/s) as string,
  });
});

interface Choice {
  readonly token_ids: readonly number[];
  readonly logprobs: {
    readonly tokens: readonly string[];
    readonly text_offset: readonly number[];
    readonly top_logprobs: readonly (Record<string, number> | null)[];
  };
}
