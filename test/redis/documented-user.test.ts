import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { CHANNELS, COMMANDS, KEY_PATTERNS } from '../../src/redis/rights.js';
import { preamble } from '../cli/preamble.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { send } from '../support/http.js';
import { realServer, uploadBundled } from '../support/real-server.js';
import { RedisServer } from '../support/redis-server.js';
import { makeDocumentedUser } from '../support/redis-user.js';

const adminKey = 'open-sesame-please';
const BASE = 'preamble-demo';

let redis: RedisServer;
let admin: RedisConnection;
let url: string;
beforeAll(async () => {
  redis = await RedisServer.start();
  admin = await RedisConnection.open({ url: redis.url });
  url = await makeDocumentedUser(admin, redis.port);
  await admin.client.config('RESETSTAT');
});
afterAll(async () => {
  admin.close();
  await redis.stop();
});

/** Asks as the operator. */
async function operate(server: string, method: string, path: string, body?: object): Promise<Record<string, string>> {
  const headers = { authorization: `Bearer ${adminKey}` };
  const { text } = await send(server, { method, path: `/v1/admin${path}`, headers, body });
  return JSON.parse(text) as Record<string, string>;
}

it('is enough to serve, share, limit, train, examine and copy, and names every command and key in use', async () => {
  const settings = { adminKey, store: { kind: 'redis', url } as const };
  const [a, b] = [
    await realServer({ ...settings, tuningWorkers: 1 }),
    await realServer({ ...settings, tuningWorkers: 0 }),
  ];
  await operate(a.url, 'POST', '/tenants/acme', { requests_per_minute: 2 });
  const { id = '', key = '' } = await operate(a.url, 'POST', '/keys', { tenant: 'acme' });
  const client = new OpenAI({ baseURL: `${b.url}/v1`, apiKey: key, maxRetries: 0 });

  await uploadBundled(a.url, 'headlines', key);
  const complete = (model: string) => client.completions.create({ model, prompt: 'The', max_tokens: 4 });
  expect((await complete('headlines')).model).toBe('headlines');
  await complete(BASE);
  await expect(complete(BASE)).rejects.toMatchObject({ status: 429 });

  const file = await toFile(Buffer.from('{"prompt":"Q:","completion":" Forty-two."}\n'.repeat(8)), 'data.jsonl');
  const { id: training_file } = await client.files.create({ file, purpose: 'fine-tune' });
  const tuning = { mlp: 0, length: 2, max_steps: 3 };
  const job = await client.fineTuning.jobs.create({ model: BASE, training_file, prefix_tuning: tuning } as never);
  const status = async () => (await client.fineTuning.jobs.retrieve(job.id)).status;
  await expect.poll(status, { timeout: 150_000, interval: 100 }).toBe('succeeded');
  await client.delete(`/prefixes/headlines`);

  vi.stubEnv('PREAMBLE_STORE', url);
  const report = JSON.parse((await preamble('doctor', '--json')).out);
  vi.unstubAllEnvs();
  expect(report.store).toMatchObject({ answers: { value: true } });
  const to = `file:${await temporaryDirectory()}`;
  expect(JSON.parse((await preamble('store', 'copy', url, to, '--json')).out)).toMatchObject({ copied: 1, failed: 0 });
  expect((await preamble('store', 'copy', to, url)).status).toBe(0);

  await operate(a.url, 'DELETE', `/keys/${id}`);
  await expect.poll(() => client.models.list().catch(({ status }: { status: number }) => status)).toBe(401);

  expect(await unexpectedCommands()).toEqual([]);
  const patterns = KEY_PATTERNS.map(
    (pattern) => new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('{', '\\{')}$`),
  );
  const keys = await admin.client.keys('*');
  expect(keys.length).toBeGreaterThan(10);
  expect(keys.filter((name) => !patterns.some((pattern) => pattern.test(name)))).toEqual([]);
  for (const name of await admin.client.pubsub('CHANNELS')) expect(CHANNELS).toContain(name);
}, 240_000);

/** Commands that were run and that the rights do not have, without those of this test's own connection. */
async function unexpectedCommands(): Promise<string[]> {
  const others = ['hello', 'client', 'subscribe', 'multi', 'discard', 'config', 'acl'];
  const known = new Set([...COMMANDS.map((command) => command.split(' ', 1)[0]?.toLowerCase()), ...others]);
  const stats = await admin.client.info('commandstats');
  const run = [...stats.matchAll(/^cmdstat_(\w+)/gm)].map(([, name = '']) => name);
  expect(run).toContain('bzpopmin');
  return run.filter((name) => !known.has(name));
}

it('has the keys and channels in a table', async () => {
  const text = await readFile(join(packageRoot, 'docs/operations.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (?:channel )?`(preamble:[^`]+)`/gm)].map(([, name = '']) => name);
  const used = [...KEY_PATTERNS.map((pattern) => pattern), ...CHANNELS];
  expect(rows.map((row) => row.replaceAll(/MODEL|TENANT/g, '*')).sort()).toEqual(used.sort());
});
