import { beforeEach, describe, expect, test, vi } from 'vitest';

import { adapterId } from '../../src/prefix/name.js';
import type { Config } from '../../src/config/variables.js';
import { createSampler } from '../../src/tracing/sampler.js';
import { send, type Answer } from '../support/http.js';
import { modelCache } from '../support/models.js';
import { randomBart } from '../support/random-bart.js';
import { realServer, uploadBundled, type RealServer } from '../support/real-server.js';
import { attributesOf, collector, type Collector, type ExportedSpan } from './collector.js';

const KEY = 'key-that-nobody-may-see';
const TENANT = 'tenant-that-nobody-may-see';
const PREFIX = 'prefix-that-nobody-may-see';
const PROMPT = 'words that nobody may see';

const PARENT = { trace: 'a'.repeat(32), span: 'b'.repeat(16) };
const traceparent = `00-${PARENT.trace}-${PARENT.span}-01`;

interface Traced {
  readonly server: RealServer;
  readonly collected: Collector;
}

async function traced(overrides: Partial<Config> = {}): Promise<Traced> {
  const collected = await collector();
  const server = await realServer({
    apiKeys: [{ tenant: TENANT, key: KEY }],
    otlpEndpoint: collected.url,
    otlpProtocol: 'http/json',
    ...overrides,
  });
  return { server, collected };
}

function complete({ url }: RealServer, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const path = '/v1/completions';
  return send(url, { method: 'POST', path, headers: { authorization: `Bearer ${KEY}`, ...headers }, body });
}

const childrenOf = (spans: ExportedSpan[], { spanId }: ExportedSpan): ExportedSpan[] =>
  spans.filter(({ parentSpanId }) => parentSpanId === spanId);
const named = (spans: ExportedSpan[], name: string): ExportedSpan[] => spans.filter((span) => span.name === name);

beforeEach(() => {
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  return () => vi.unstubAllEnvs();
});

describe('a traced request', () => {
  test('of a model with an encoder tells of its source by its length alone', async () => {
    const { server, collected } = await traced({ model: randomBart().directory, cache: modelCache });
    const body = { model: 'random-bart', prompt: PROMPT, max_tokens: 6, ignore_eos: true };
    expect((await complete(server, body)).status).toBe(200);
    await collected.requests(1);
    const spans = collected.spans();
    const [sequence] = named(spans, 'text_completion random-bart');
    expect(attributesOf(sequence!)).toMatchObject({
      'gen_ai.usage.input_tokens': PROMPT.length + 2,
      'gen_ai.usage.output_tokens': 6,
    });
    expect(JSON.stringify(collected.exports)).not.toContain(PROMPT);
  });

  test('is a span with one below it for each part of its life, in order, and nothing that it said', async () => {
    const { server, collected } = await traced();
    await uploadBundled(server.url, 'headlines', KEY, PREFIX);
    const body = { model: PREFIX, prompt: PROMPT, max_tokens: 6, n: 2, ignore_eos: true, seed: 1 };
    const answer = await complete(server, body, { traceparent, 'x-request-id': 'the-request' });
    expect(answer.status).toBe(200);
    const [, request] = await collected.requests(2);
    const spans = collected.spans();

    expect(request).toMatchObject({ name: 'POST /v1/completions', traceId: PARENT.trace, parentSpanId: PARENT.span });
    expect(attributesOf(request!)).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1/completions',
      'http.response.status_code': 200,
      'preamble.request.id': 'the-request',
    });
    const [load, ...sequences] = childrenOf(spans, request!);
    expect(load?.name).toBe('prefix load');
    expect(attributesOf(load!)).toMatchObject({ 'preamble.prefix.source': 'store' });
    const { prompt_tokens } = JSON.parse(answer.text).usage;
    expect(sequences.map(({ name }) => name)).toEqual(Array(2).fill('text_completion preamble-demo'));
    for (const [i, sequence] of sequences.entries()) {
      expect(attributesOf(sequence)).toEqual({
        'gen_ai.operation.name': 'text_completion',
        'gen_ai.request.model': 'preamble-demo',
        'gen_ai.usage.input_tokens': prompt_tokens,
        'gen_ai.usage.output_tokens': 6,
        'gen_ai.response.finish_reasons': ['length'],
      });
      const phases = childrenOf(spans, sequence);
      expect(phases.map(({ name }) => name)).toEqual(['waiting', 'prefill', 'decode']);
      // The second choice copies the prompt's keys and values from the first.
      const reused = i === 0 ? 0 : prompt_tokens - 1;
      expect(attributesOf(phases[1]!)).toMatchObject({ 'preamble.prompt.reused_tokens': reused });
      expect(phases[2]?.events.map(({ name }) => name)).toEqual(['first token']);
      const times = phases.flatMap((phase) => [BigInt(phase.startTimeUnixNano), BigInt(phase.endTimeUnixNano)]);
      const [start, end] = [BigInt(sequence.startTimeUnixNano), BigInt(sequence.endTimeUnixNano)];
      const all = [BigInt(load!.endTimeUnixNano), start, ...times, end, BigInt(request!.endTimeUnixNano)];
      expect(all).toEqual(all.toSorted((a, b) => Number(a - b)));
    }
    const sent = Buffer.concat(collected.exports.map(({ body }) => body)).toString();
    const { choices } = JSON.parse(answer.text) as { choices: { text: string }[] };
    const texts = choices.map(({ text }) => text.trim());
    for (const secret of [KEY, TENANT, PREFIX, adapterId(TENANT, PREFIX), PROMPT, ...texts]) {
      expect(sent).not.toContain(secret);
    }
  });

  test('tells whether its prefix was in memory, and of each item of a batch', async () => {
    const { server, collected } = await traced();
    await uploadBundled(server.url, 'headlines', KEY, PREFIX);
    await complete(server, { model: PREFIX, prompt: 'a', max_tokens: 1 });
    const item = (custom_id: string, model: string): object => ({ custom_id, body: { model, prompt: 'a' } });
    const body = { requests: [item('one', PREFIX), item('two', 'preamble-demo'), item('three', 'unknown')] };
    const headers = { authorization: `Bearer ${KEY}` };
    await send(server.url, { method: 'POST', path: '/v1/batch/completions', headers, body });
    const [, , batch] = await collected.requests(3);
    const below = childrenOf(collected.spans(), batch!);
    const loads = named(below, 'prefix load').map((span) => attributesOf(span)['preamble.prefix.source']);
    expect(loads.sort()).toEqual(['memory', undefined]);
    expect(named(below, 'text_completion preamble-demo')).toHaveLength(2);
    expect(attributesOf(batch!)).toMatchObject({ 'error.type': 'model_not_found' });
  });

  test('that is refused says so; probes are not traced', async () => {
    const { server, collected } = await traced();
    await send(server.url, { path: '/readyz' });
    await send(server.url, { path: '/metrics' });
    await complete(server, { model: 'preamble-demo', prompt: 'a' }, { authorization: 'Bearer wrong' });
    await send(server.url, { path: `/v1/prefixes/${PREFIX}`, headers: { authorization: `Bearer ${KEY}` } });
    const [first, second] = await collected.requests(2);
    expect(attributesOf(first!)).toMatchObject({
      'http.response.status_code': 401,
      'error.type': 'invalid_api_key',
    });
    expect(second?.name).toBe('GET /v1/prefixes/:name');
    expect(attributesOf(second!)).toMatchObject({ 'error.type': 'prefix_not_found' });
    expect([first?.status.code, second?.status.code]).toEqual([0, 0]);
  });

  test('that its client leaves has ended spans', async () => {
    const { server, collected } = await traced();
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const body = JSON.stringify({
      model: 'preamble-demo',
      prompt: 'a',
      max_tokens: 200,
      ignore_eos: true,
      stream: true,
    });
    const { signal } = leave;
    const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers, body, signal });
    await response.body?.getReader().read();
    leave.abort();
    await collected.requests(1);
    await vi.waitFor(() => expect(named(collected.spans(), 'decode')).toHaveLength(1), 30_000);
    const [sequence] = named(collected.spans(), 'text_completion preamble-demo');
    expect(attributesOf(sequence!)).toMatchObject({ 'gen_ai.response.finish_reasons': ['abort'] });
  });

  test('a beam search is one sequence', async () => {
    const { server, collected } = await traced();
    const body = { model: 'preamble-demo', prompt: 'a b', max_tokens: 3, use_beam_search: true, n: 3, temperature: 0 };
    expect((await complete(server, body)).status).toBe(200);
    const [request] = await collected.requests(1);
    const [search, ...others] = childrenOf(collected.spans(), request!);
    expect(others).toEqual([]);
    expect(childrenOf(collected.spans(), search!).map(({ name }) => name)).toEqual(['waiting', 'prefill', 'decode']);
  });
});

describe('the sampler', () => {
  test('leaves out what its caller does not trace', async () => {
    const { server, collected } = await traced();
    const body = { model: 'preamble-demo', prompt: 'a', max_tokens: 1 };
    await complete(server, body, { traceparent: traceparent.replace(/01$/, '00') });
    await complete(server, body, { traceparent });
    expect(await collected.requests(1)).toMatchObject([{ traceId: PARENT.trace }]);
    expect(new Set(collected.spans().map(({ traceId }) => traceId))).toEqual(new Set([PARENT.trace]));
  });

  test.each([
    ['always_on', 'AlwaysOnSampler'],
    ['always_off', 'AlwaysOffSampler'],
    ['traceidratio', 'TraceIdRatioBased{0.25}'],
    ['parentbased_always_on', /^ParentBased\{root=AlwaysOnSampler,/],
    ['parentbased_always_off', /^ParentBased\{root=AlwaysOffSampler,/],
    ['parentbased_traceidratio', /^ParentBased\{root=TraceIdRatioBased\{0.25\},/],
  ] as const)('%s is the standard’s', (sampler, description) => {
    expect(createSampler({ sampler, ratio: 0.25 }).toString()).toMatch(description);
  });
});
