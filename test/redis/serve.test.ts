import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { encodeForm, send, type Answer } from '../support/http.js';
import { addressOf, startProgram, testModelCache } from '../support/program.js';
import { RedisServer } from '../support/redis-server.js';

const PREAMBLE_ADMIN_KEY = 'open-sesame-please';
/** The bound for a change made through another replica. Milliseconds. */
const SEEN_WITHIN = 500;

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

/** A replica as an operator starts it: the whole program, on the bundled model. */
async function startReplica(settings: Record<string, string> = {}): Promise<string> {
  const shared = { PREAMBLE_STORE: redis.url, PREAMBLE_CACHE: testModelCache };
  return addressOf(await startProgram({ ...shared, ...settings }));
}

const bearer = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` };

function complete(address: string, model: string, key?: string): Promise<Answer> {
  const body = { model, prompt: 'The', max_tokens: 8, temperature: 0 };
  return send(address, { method: 'POST', path: '/v1/completions', headers: bearer(key), body });
}

function textOf({ status, text }: Answer): string | undefined {
  expect(status, text).toBe(200);
  return (JSON.parse(text) as { choices: { text: string }[] }).choices[0]?.text;
}

/** Uploads a bundled prefix, as the PEFT files that it is, under a name. */
async function upload(address: string, name: string, bundled: string): Promise<Answer> {
  const read = (file: string) => readFile(join(packageRoot, 'prefixes/bundled', bundled, file));
  const form = await encodeForm({
    name,
    adapter_config: [new Uint8Array(await read('adapter_config.json')), 'adapter_config.json'],
    adapter_model: [new Uint8Array(await read('adapter_model.safetensors')), 'adapter_model.safetensors'],
  });
  return send(address, { method: 'POST', path: '/v1/prefixes', ...form });
}

const remove = (address: string, name: string): Promise<Answer> =>
  send(address, { method: 'DELETE', path: `/v1/prefixes/${encodeURIComponent(name)}` });

/** Asks until the answer is as expected, and at most as long as a change may take. */
const soon = (answer: () => Promise<unknown>) => expect.poll(answer, { timeout: SEEN_WITHIN, interval: 20 });

describe('two replicas on one Redis', () => {
  it('serve what either was given, and go on with what they hold while Redis is away', async () => {
    const a = await startReplica();
    const b = await startReplica(); // on the graphs that the first has compiled
    expect((await upload(a, 'users/alice', 'headlines')).status).toBe(201);
    const headline = textOf(await complete(b, 'users/alice'));
    expect(textOf(await complete(a, 'users/alice'))).toBe(headline);
    expect(textOf(await complete(b, 'preamble-demo'))).not.toBe(headline);

    expect((await upload(b, 'users/alice', 'casual-chat')).status).toBeLessThan(300);
    await soon(async () => textOf(await complete(a, 'users/alice'))).not.toBe(headline);
    expect((await upload(a, 'users/bob', 'headlines')).status).toBe(201);
    expect((await remove(a, 'users/bob')).status).toBe(200);
    await soon(async () => (await complete(b, 'users/bob')).status).toBe(404);

    expect((await upload(a, 'cold', 'french-flavour')).status).toBe(201);
    const warm = textOf(await complete(b, 'users/alice'));
    await redis.kill();
    for (const address of [a, b]) {
      expect(textOf(await complete(address, 'users/alice'))).toBe(warm);
      expect((await send(address, { path: '/livez' })).status).toBe(200);
      const ready = await send(address, { path: '/readyz' });
      expect([ready.status, JSON.parse(ready.text)]).toEqual([200, { status: 'degraded', degraded: ['store'] }]);
    }
    const before = performance.now();
    for (const refused of [await complete(b, 'cold'), await upload(b, 'new', 'headlines')]) {
      expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('store_unavailable')]);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    }
    expect(performance.now() - before).toBeLessThan(1000);

    await redis.start();
    await expect
      .poll(async () => (await send(b, { path: '/readyz' })).text, { timeout: 10_000 })
      .toBe('{"status":"ok"}');
    expect(textOf(await complete(b, 'cold'))).toBeDefined();
  });

  it("share a tenant's keys and rates", async () => {
    const admin = async (address: string, method: string, path: string, body?: object) =>
      send(address, { method, path: `/v1/admin${path}`, headers: bearer(PREAMBLE_ADMIN_KEY), body });
    const a = await startReplica({ PREAMBLE_ADMIN_KEY });
    const b = await startReplica({ PREAMBLE_ADMIN_KEY });
    expect((await complete(b, 'preamble-demo')).status).toBe(401);
    expect((await admin(a, 'POST', '/tenants/acme', { requests_per_minute: 3 })).status).toBe(201);
    const made = await admin(a, 'POST', '/keys', { tenant: 'acme' });
    const { id, key } = JSON.parse(made.text) as { id: string; key: string };
    const answers = [];
    for (const address of [b, a, b, a]) answers.push((await complete(address, 'preamble-demo', key)).status);
    expect(answers).toEqual([200, 200, 200, 429]);
    expect((await admin(b, 'DELETE', `/keys/${id}`)).status).toBe(200);
    for (const address of [a, b])
      await soon(async () => (await complete(address, 'preamble-demo', key)).status).toBe(401);
  });
});
