import { describe, expect, test } from 'vitest';

import { post, testMetrics, testServer } from '../server/harness.js';

/** The samples of one series, by labels. */
async function samples(metrics: { text(): Promise<string> }, name: string): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(`preamble_${name}{`));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value] = /\{(.*)\} (\S+)$/.exec(line) ?? [];
      return [labels.replace(/,?model_name="tiny"/, '').replace(/^,/, ''), Number(value)];
    }),
  );
}

describe('metrics', () => {
  test('have the names and labels that people chart for vLLM', async () => {
    const metrics = testMetrics({ waiting: 3, running: 2, kvUsage: 0.25, promptCacheBytes: 64, draftTableBytes: 96 });
    metrics.admitted(0.4);
    metrics.promptLookedUp(40, 32);
    metrics.stepped({ kind: 'mixed', rows: 5, chunkTokens: 7, seconds: 0.02 });
    metrics.firstToken(0.03);
    metrics.nextToken(0.05);
    metrics.verified(4, 2);
    metrics.verified(1, 1);
    metrics.verified(3, 0);
    metrics.ended({ reason: 'length', promptTokens: 7, generatedTokens: 2, seconds: 2 });
    const read = (name: string): Promise<Record<string, number>> => samples(metrics, name);
    expect(await read('num_requests_waiting')).toEqual({ '': 3 });
    expect(await read('num_requests_running')).toEqual({ '': 2 });
    expect(await read('kv_cache_usage_perc')).toEqual({ '': 0.25 });
    expect(await read('prompt_tokens_total')).toEqual({ '': 7 });
    expect(await read('generation_tokens_total')).toEqual({ '': 2 });
    expect(await read('request_success_total')).toEqual({ 'finished_reason="length"': 1 });
    expect(await read('time_to_first_token_seconds_sum')).toEqual({ '': 0.03 });
    expect(await read('inter_token_latency_seconds_count')).toEqual({ '': 1 });
    expect(await read('request_queue_time_seconds_sum')).toEqual({ '': 0.4 });
    expect(await read('e2e_request_latency_seconds_bucket')).toMatchObject({ 'le="1.5"': 0, 'le="2"': 1 });
    expect(await read('step_seconds_count')).toEqual({ 'kind="mixed"': 1 });
    expect(await read('step_rows_sum')).toEqual({ '': 5 });
    expect(await read('prompt_cache_queries_total')).toEqual({ '': 40 });
    expect(await read('prompt_cache_hits_total')).toEqual({ '': 32 });
    expect(await read('prompt_cache_bytes')).toEqual({ '': 64 });
    expect(await read('prefix_kv_cached_bytes')).toEqual({ '': 512 });
    expect(await read('spec_decode_num_drafts_total')).toEqual({ '': 3 });
    expect(await read('spec_decode_num_draft_tokens_total')).toEqual({ '': 8 });
    expect(await read('spec_decode_num_accepted_tokens_total')).toEqual({ '': 3 });
    const perPosition = { 'position="0"': 2, 'position="1"': 1 };
    expect(await read('spec_decode_num_accepted_tokens_per_pos_total')).toEqual(perPosition);
    expect(await read('draft_table_bytes')).toEqual({ '': 96 });
  });

  test('count background work without its times, and batches by how they ended', async () => {
    const metrics = testMetrics();
    const read = (name: string): Promise<Record<string, number>> => samples(metrics, name);
    metrics.firstToken(undefined);
    metrics.nextToken(undefined);
    metrics.ended({ reason: 'stop', promptTokens: 3, generatedTokens: 2, seconds: undefined });
    expect(await read('generation_tokens_total')).toEqual({ '': 2 });
    expect(await read('request_success_total')).toEqual({ 'finished_reason="stop"': 1 });
    for (const name of ['time_to_first_token', 'inter_token_latency', 'e2e_request_latency'])
      expect(await read(`${name}_seconds_count`)).toEqual({ '': 0 });
    for (let i = 0; i < 3; i++) metrics.batchStarted();
    metrics.batchLeft();
    metrics.batchEnded('completed');
    metrics.batchEnded('interrupted');
    metrics.batchRequestEnded('output');
    metrics.batchRequestEnded('error');
    expect(await read('batches_running')).toEqual({ '': 2 });
    expect(await read('batches_total')).toEqual({ 'status="completed"': 1, 'status="interrupted"': 1 });
    expect(await read('batch_requests_total')).toEqual({ 'list="output"': 1, 'list="error"': 1 });
  });

  test('tell a gateway which prefixes run and wait, now and only now', async () => {
    const state = { runningPrefixes: ['aa', 'bb'], waitingPrefixes: ['cc', 'dd', 'ee', 'ff', 'gg'] };
    const metrics = testMetrics(state);
    const before = Date.now() / 1000;
    const [[labels, time] = []] = Object.entries(await samples(metrics, 'lora_requests_info'));
    expect(labels).toBe('max_lora="4",running_lora_adapters="aa,bb",waiting_lora_adapters="cc,dd,ee,ff"');
    expect(time).toBeGreaterThanOrEqual(before);
    state.runningPrefixes = [];
    expect(Object.keys(await samples(metrics, 'lora_requests_info'))).toHaveLength(1);
  });
});

describe('/metrics', () => {
  test('needs no key, and counts refusals by their code', async () => {
    const { app } = await testServer({ apiKeys: [{ tenant: 't', key: 'k' }] });
    await post(app, '/v1/completions', { model: 'tiny', prompt: 'a' });
    await post(app, '/v1/completions', { model: 'tiny', prompt: 'a', nonsense: 1 }, { authorization: 'Bearer k' });
    const { statusCode, headers, body } = await app.inject('/metrics');
    expect(statusCode).toBe(200);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const errors = await samples({ text: () => Promise.resolve(body) }, 'request_errors_total');
    expect(errors).toEqual({ 'code="invalid_api_key"': 1, 'code="unknown_parameter"': 1 });
  });
});
