import { afterAll, beforeAll, expect, it } from 'vitest';

import { encodeForm, send } from '../support/http.js';
import { modelCache } from '../support/models.js';
import { randomAdapter, randomBart, randomPrefix } from '../support/random-bart.js';
import { RedisServer } from '../support/redis-server.js';
import { realServer } from '../support/real-server.js';

const { directory, reference } = randomBart();

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

it("an encoder-decoder's prefix that one replica took is served by another", async () => {
  const serve = () => realServer({ model: directory, cache: modelCache, store: { kind: 'redis', url: redis.url } });
  const [here, there] = [await serve(), await serve()];
  const sites = { encoder: 2, decoder: 5, cross: 3 };
  const files = randomAdapter(here.model.base, sites, 1);
  const form = await encodeForm({
    name: 'mine',
    adapter_config: [files.config, 'adapter_config.json'],
    adapter_model: [new Uint8Array(files.model), 'adapter_model.safetensors'],
  });
  const uploaded = await send(here.url, { method: 'POST', path: '/v1/prefixes', ...form });
  expect(uploaded.status, uploaded.text).toBe(201);
  const prompt = [0, 40, 41, 99, 7, 2];
  const fields = { model: 'mine', prompt, max_tokens: 5, temperature: 0, ignore_eos: true, return_token_ids: true };
  const answer = await send(there.url, { method: 'POST', path: '/v1/completions', body: fields });
  expect(answer.status, answer.text).toBe(200);
  const ids: number[] = [];
  while (ids.length < 5) {
    const row = reference.logits(prompt, [2, ...ids], randomPrefix(here.model.base, sites, 1)).at(-1) ?? [];
    ids.push(row.indexOf(Math.max(...row)));
  }
  expect(JSON.parse(answer.text)).toMatchObject({ choices: [{ token_ids: ids }] });
});
