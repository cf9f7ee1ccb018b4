import { expect, it, vi } from 'vitest';

import { adapterId } from '../../src/prefix/name.js';
import { realServer, uploadBundled } from '../support/real-server.js';
import { parseSamples } from '../support/samples.js';
import { loraAffinity, type PodMetrics, readAsEndpointPicker } from './endpoint-picker.js';

const scrape = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();
const SLOTS = 4;
const atRest: PodMetrics = {
  waitingQueueSize: 0,
  runningRequestsSize: 0,
  kvCacheUsage: 0,
  maxActiveModels: SLOTS,
  activeModels: [],
  waitingModels: [],
};

it('an endpoint picker finds queue, running, KV use and adapters right, at rest and under load', async () => {
  const { url } = await realServer({ slots: SLOTS });
  await uploadBundled(url, 'casual-chat');
  await uploadBundled(url, 'formal-replies');
  expect(readAsEndpointPicker(await scrape(url))).toEqual(atRest);

  const abort = new AbortController();
  const start = (model: string, n: number): Promise<Response> =>
    fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: [1], n, max_tokens: 400, ignore_eos: true, stream: true }),
      signal: abort.signal,
    });
  await start('casual-chat', SLOTS);
  const waiting = start('formal-replies', 3).catch(() => undefined);
  const picked = await vi.waitFor(async () => {
    const read = readAsEndpointPicker(await scrape(url));
    expect(read).toMatchObject({ waitingQueueSize: 3, runningRequestsSize: SLOTS });
    return read;
  }, 30_000);
  expect(picked.kvCacheUsage).toBeGreaterThan(0);
  expect(picked.kvCacheUsage).toBeLessThanOrEqual(1);
  expect(picked.activeModels).toEqual([adapterId('default', 'casual-chat')]);
  expect(picked.waitingModels).toEqual([adapterId('default', 'formal-replies')]);

  abort.abort();
  await waiting;
  await vi.waitFor(async () => expect(readAsEndpointPicker(await scrape(url))).toEqual(atRest), 30_000);
});

it('an endpoint picker finds the replica that runs a prefix, by the adapter_id that a client sends as model', async () => {
  const [here, there] = [await realServer({ slots: SLOTS }), await realServer({ slots: SLOTS })];
  for (const { url } of [here, there]) await uploadBundled(url, 'casual-chat');
  await uploadBundled(here.url, 'formal-replies');
  const { data } = (await (await fetch(`${here.url}/v1/models`)).json()) as {
    data: { id: string; adapter_id: string | null }[];
  };
  const idOf = (name: string): string => data.find(({ id }) => id === name)?.adapter_id ?? '';
  const [model, other] = [idOf('casual-chat'), idOf('formal-replies')];

  const abort = new AbortController();
  const response = await fetch(`${here.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'Hello', n: SLOTS, max_tokens: 400, ignore_eos: true, stream: true }),
    signal: abort.signal,
  });
  expect(response.status).toBe(200);
  const read = async (): Promise<PodMetrics[]> =>
    Promise.all([here, there].map(async ({ url }) => readAsEndpointPicker(await scrape(url))));
  const pods = await vi.waitFor(async () => {
    const both = await read();
    expect(both.map(({ runningRequestsSize }) => runningRequestsSize)).toEqual([SLOTS, 0]);
    return both;
  }, 30_000);
  expect(pods.map((pod) => loraAffinity(pod, model))).toEqual([1, 0.8]);
  expect(pods.map((pod) => loraAffinity(pod, other))).toEqual([0.8, 0.8]);
  expect(pods.map((pod) => loraAffinity(pod, 'casual-chat'))).toEqual([0.8, 0.8]); // a name tells the picker nothing
  abort.abort();
  await vi.waitFor(async () => expect(await read()).toEqual([atRest, atRest]), 30_000);
});

it('a prefix is loaded once and then found in memory; steps are counted by kind, and no label grows with users', async () => {
  const { url } = await realServer({ slots: SLOTS });
  await uploadBundled(url, 'casual-chat');
  const complete = async (model: string): Promise<number> => {
    const body = JSON.stringify({ model, prompt: [1, 2], max_tokens: 3, ignore_eos: true });
    const headers = { 'content-type': 'application/json' };
    return (await fetch(`${url}/v1/completions`, { method: 'POST', headers, body })).status;
  };
  const id = adapterId('default', 'casual-chat');
  for (const model of ['casual-chat', id, 'casual-chat']) expect(await complete(model)).toBe(200);
  expect(await complete('nobody-there')).toBe(404);
  const text = await scrape(url);
  const value = (name: string): number => parseSamples(text).find((sample) => sample.name === name)?.value ?? NaN;
  expect(value('preamble_prefix_kv_cold_load_seconds_count')).toBe(1);
  expect(value('preamble_prefix_kv_cold_load_seconds_sum')).toBeGreaterThan(0);
  expect(value('preamble_prefix_kv_queries_total')).toBe(3);
  expect(value('preamble_prefix_kv_hits_total')).toBe(2);
  expect(value('preamble_prefix_kv_cached_bytes')).toBeGreaterThan(0);
  expect(value('preamble_step_rows_count')).toBeGreaterThanOrEqual(6);
  const ours = parseSamples(text).filter(({ name }) => name.startsWith('preamble_'));
  const kinds = ours.filter(({ name }) => name === 'preamble_step_seconds_count').map(({ labels }) => labels['kind']);
  expect(kinds.sort()).toEqual(['decode', 'prefill']);
  expect(ours.find(({ name }) => name === 'preamble_request_errors_total')?.labels['code']).toBe('model_not_found');
  expect(text).not.toMatch(/casual-chat|nobody/);
});
