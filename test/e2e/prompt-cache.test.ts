import { expect, it } from 'vitest';

import { type RealServer, realServer, uploadBundled } from '../support/real-server.js';
import { send } from '../support/http.js';

const keys = [
  { tenant: 'alice', key: 'key-of-alice' },
  { tenant: 'bob', key: 'key-of-bob' },
];
const [alice, bob] = ['key-of-alice', 'key-of-bob'];
/** 50 tokens: three whole blocks before the last. */
const prompt = Array.from({ length: 50 }, (_, i) => 300 + ((i * 37) % 1500));

interface Answer {
  readonly choices: { readonly text: string; readonly logprobs: { readonly token_logprobs: number[] } }[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number; readonly prefix_tokens: number };
  };
}

async function complete({ url }: RealServer, key: string, body: object = {}): Promise<Answer> {
  const request = { model: 'preamble-demo', prompt, max_tokens: 8, temperature: 0, logprobs: 1, ...body };
  const headers = { authorization: `Bearer ${key}` };
  const { status, text } = await send(url, { method: 'POST', path: '/v1/completions', headers, body: request });
  expect(status, text).toBe(200);
  return JSON.parse(text) as Answer;
}

const cachedTokens = ({ usage }: Answer): number => usage.prompt_tokens_details.cached_tokens;

it('a tenant’s prompt is found again by that tenant only, under that prefix only, and the answer is the same', async () => {
  const server = await realServer({ apiKeys: keys, promptCacheBytes: 2 ** 26, speculate: 'off' });
  for (const key of [alice, bob])
    for (const name of ['headlines', 'formal-replies']) await uploadBundled(server.url, name, key);
  const requests = ['preamble-demo', 'headlines', 'formal-replies'].flatMap((model) =>
    [alice, bob].map((key) => ({ key, model })),
  );
  const first: Answer[] = [];
  for (const { key, model } of requests) first.push(await complete(server, key, { model }));
  expect(first.map(cachedTokens)).toEqual([0, 0, 0, 0, 0, 0]);
  for (const [index, { key, model }] of requests.entries()) {
    const again = await complete(server, key, { model });
    expect(again.choices).toEqual(first[index]?.choices);
    expect(again.usage).toMatchObject({ prompt_tokens: 50, prompt_tokens_details: { cached_tokens: 48 } });
  }
  const { text } = await send(server.url, { path: '/metrics' });
  expect(text).toMatch(/^preamble_prompt_cache_queries_total\{.*\} 600$/m);
  expect(text).toMatch(/^preamble_prompt_cache_hits_total\{.*\} 288$/m);
  expect(text).toMatch(/^preamble_prompt_cache_bytes\{.*\} [1-9]\d+$/m);
});

it('a prefix that is replaced, or deleted and uploaded anew, is used with prompts of its own', async () => {
  const server = await realServer({ apiKeys: keys, promptCacheBytes: 2 ** 26, speculate: 'off' });
  const named = { model: 'mine' };
  await uploadBundled(server.url, 'headlines', alice, 'mine');
  const headlines = await complete(server, alice, named);
  expect(cachedTokens(await complete(server, alice, named))).toBe(48);
  await uploadBundled(server.url, 'formal-replies', alice, 'mine');
  const replies = await complete(server, alice, named);
  expect(cachedTokens(replies)).toBe(0);
  expect(replies.choices).not.toEqual(headlines.choices);
  const headers = { authorization: `Bearer ${alice}` };
  expect((await send(server.url, { method: 'DELETE', path: '/v1/prefixes/mine', headers })).status).toBe(200);
  await uploadBundled(server.url, 'headlines', alice, 'mine');
  expect((await complete(server, alice, named)).choices).toEqual(headlines.choices);
});

it('choices count a cached prompt once, and a scored prompt is computed', async () => {
  const server = await realServer({ apiKeys: keys, promptCacheBytes: 2 ** 26, speculate: 'off' });
  await complete(server, alice);
  expect(cachedTokens(await complete(server, alice, { n: 3, temperature: 1, seed: 1 }))).toBe(48);
  expect(cachedTokens(await complete(server, alice, { prompt: [prompt, prompt.slice(0, 20)] }))).toBe(48 + 16);
  const scored = await complete(server, alice, { echo: true });
  expect(cachedTokens(scored)).toBe(0);
  expect(scored.choices[0]?.logprobs.token_logprobs).toHaveLength(58);
});

it('off, as it is unless set, nothing is cached', async () => {
  const server = await realServer({ apiKeys: keys });
  for (let i = 0; i < 2; i++) expect(cachedTokens(await complete(server, alice))).toBe(0);
  const { text } = await send(server.url, { path: '/metrics' });
  expect(text).toMatch(/^preamble_prompt_cache_queries_total\{.*\} 0$/m);
});
