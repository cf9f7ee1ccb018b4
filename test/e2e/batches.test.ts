import { once } from 'node:events';

import OpenAI, { toFile } from 'openai';
import { describe, expect, it } from 'vitest';

import {
  batchLines,
  batchRequests,
  batchUntil,
  batchUntilDone,
  createBatch,
  textsOf,
  uploadLines,
} from '../support/batches.js';
import { chattyModel } from '../support/chatty-model.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { addressOf, startProgram, testModelCache } from '../support/program.js';
import { realServer, type RealServer, uploadBundled } from '../support/real-server.js';

const KEYS = { alice: 'alices-key', bob: 'bobs-key' };
const apiKeys = Object.entries(KEYS).map(([tenant, key]) => ({ tenant, key }));
const BASE = 'preamble-demo';

function clientOf({ url }: Pick<RealServer, 'url'>, tenant: keyof typeof KEYS = 'alice'): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: KEYS[tenant], maxRetries: 0 });
}

describe('the official client', () => {
  it('does a file of requests, each with the prefix that it names', async () => {
    const server = await realServer({ apiKeys });
    await uploadBundled(server.url, 'headlines', KEYS.alice);
    const client = clientOf(server);
    const bad = [
      { custom_id: 'b1', method: 'POST', url: '/v1/completions', body: { model: 'nobody', prompt: 'a' } },
      { custom_id: 'b2', method: 'POST', url: '/v1/completions', body: { model: BASE, prompt: 'a', wombat: 1 } },
      { custom_id: 'r0', method: 'POST', url: '/v1/completions', body: { model: BASE, prompt: 'a' } },
    ];
    const input_file_id = await uploadLines(client, [...batchRequests(12, [BASE, 'headlines']), ...bad]);
    const metadata = { night: 'tonight' };
    const created = await client.batches.create({
      input_file_id,
      endpoint: '/v1/completions',
      completion_window: '24h',
      metadata,
    });
    expect(created).toMatchObject({
      id: expect.stringMatching(/^batch_[0-9a-f]{24}$/),
      object: 'batch',
      status: 'validating',
      endpoint: '/v1/completions',
      input_file_id,
      completion_window: '24h',
      metadata,
      errors: null,
      output_file_id: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
    });
    expect(created.expires_at! - created.created_at).toBe(24 * 3600);

    const batch = await batchUntil(client, created.id, 'completed', 'failed');
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 15, completed: 12, failed: 3 },
      usage: { output_tokens: 12 * 16 },
    });
    const answers = await batchLines(client, batch.output_file_id);
    // The same as when they are asked for one by one.
    for (const [i, { custom_id, response, error }] of answers.entries()) {
      const { body } = batchRequests(12, [BASE, 'headlines'])[i] as { body: OpenAI.CompletionCreateParamsNonStreaming };
      expect([custom_id, response?.status_code, error]).toEqual([`r${i}`, 200, null]);
      expect(response?.body.choices[0]?.text).toBe((await client.completions.create(body)).choices[0]?.text);
    }
    const errors = await batchLines(client, batch.error_file_id);
    expect(
      errors.map(({ custom_id, response, error }) => [custom_id, response?.status_code ?? error?.code]).sort(),
    ).toEqual([
      ['b1', 404],
      ['b2', 400],
      ['r0', 'duplicate_custom_id'],
    ]);
    expect((await client.files.list({ purpose: 'batch_output' })).data.map(({ filename }) => filename).sort()).toEqual([
      `${batch.id}_error.jsonl`,
      `${batch.id}_output.jsonl`,
    ]);
    expect((await client.files.list({ purpose: 'batch' })).data.map(({ id }) => id)).toEqual([input_file_id]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^preamble_batches_total{.*status="completed".*} 1$/m);
    expect(metrics).toMatch(/^preamble_batch_requests_total{.*list="output".*} 12$/m);
    expect(metrics).toMatch(/^preamble_batch_requests_total{.*list="error".*} 2$/m);
  });

  it('lists batches page by page, and cancels one with what is done kept', async () => {
    const client = clientOf(await realServer({ apiKeys }));
    const made: string[] = [];
    for (let i = 0; i < 3; i++) made.unshift((await createBatch(client, batchRequests(1, [BASE]))).id);
    for (const id of made) await batchUntil(client, id, 'completed');
    const listed: string[] = [];
    for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id);
    expect(listed).toEqual(made);
    expect(await client.batches.list({ limit: 2 })).toMatchObject({ has_more: true, data: [{ id: made[0] }, {}] });
    await expect(client.batches.cancel(made[0]!)).rejects.toMatchObject({ status: 409, code: 'job_finished' });

    const long = await createBatch(client, batchRequests(2000, [BASE], 64));
    await batchUntilDone(client, long.id, 5);
    expect(await client.batches.cancel(long.id)).toMatchObject({ status: 'cancelling' });
    const batch = await batchUntil(client, long.id, 'cancelled');
    expect(batch).toMatchObject({ cancelled_at: expect.any(Number), error_file_id: null });
    const answers = await batchLines(client, batch.output_file_id);
    expect(answers.length).toBeGreaterThanOrEqual(5);
    expect(answers).toHaveLength(batch.request_counts!.completed);
  });

  it('is told which line of a file is no request', async () => {
    const client = clientOf(await realServer({ apiKeys }));
    const fails = async (...lines: (object | string)[]) =>
      (await batchUntil(client, (await createBatch(client, lines)).id, 'failed')).errors;
    const [good] = batchRequests(1, [BASE]);
    expect(await fails(good!, 'no json', { ...good, url: '/v1/embeddings' })).toMatchObject({
      object: 'list',
      data: [
        { code: 'invalid_json_line', line: 2, param: null },
        { code: 'invalid_value', line: 3, param: 'url' },
      ],
    });
    expect(await fails('')).toMatchObject({ data: [{ code: 'empty_file', line: null }] });
  });

  it('completes conversations, where the model has a template', async () => {
    const model = await chattyModel(await temporaryDirectory());
    const server = await realServer({ apiKeys, model, modelName: BASE });
    const client = clientOf(server);
    const body: OpenAI.ChatCompletionCreateParamsNonStreaming = {
      model: BASE,
      messages: [{ role: 'user', content: 'Hi' }],
      max_completion_tokens: 8,
      temperature: 0,
    };
    const line = { custom_id: 'r0', method: 'POST', url: '/v1/chat/completions', body };
    const batch = await client.batches.create({
      input_file_id: await uploadLines(client, [line]),
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    const { output_file_id } = await batchUntil(client, batch.id, 'completed');
    const [answer] = await batchLines(client, output_file_id);
    const alone = await client.chat.completions.create(body);
    expect(answer?.response?.body).toMatchObject({
      object: 'chat.completion',
      choices: alone.choices.map(({ message }) => ({ message })),
    });
  });

  it('has nothing of another tenant', async () => {
    const server = await realServer({ apiKeys });
    const [alice, bob] = [clientOf(server), clientOf(server, 'bob')];
    await uploadBundled(server.url, 'headlines', KEYS.alice);
    const { id, input_file_id } = await createBatch(alice, batchRequests(2, ['headlines']));
    const { output_file_id } = await batchUntil(alice, id, 'completed');
    for (const attempt of [
      () => bob.batches.retrieve(id),
      () => bob.batches.cancel(id),
      () => bob.batches.create({ input_file_id, endpoint: '/v1/completions', completion_window: '24h' }),
      () => bob.files.retrieve(input_file_id),
      () => bob.files.content(output_file_id!),
      () => bob.files.delete(output_file_id!),
    ]) {
      await expect(attempt(), attempt.toString()).rejects.toMatchObject({ status: 404 });
    }
    expect((await bob.batches.list()).data).toEqual([]);
    expect((await bob.batches.list({ after: id })).data).toEqual([]);
    expect((await bob.files.list()).data).toEqual([]);
    // A line of theirs does not find it either.
    const theirs = await createBatch(bob, batchRequests(1, ['headlines']));
    const errors = await batchLines(bob, (await batchUntil(bob, theirs.id, 'completed')).error_file_id);
    expect(errors[0]?.response?.status_code).toBe(404);
  });
});

describe('a batch is refused', () => {
  it('for what is wrong with its fields, naming them', async () => {
    const client = clientOf(await realServer({ apiKeys }));
    const input_file_id = await uploadLines(client, batchRequests(1, [BASE]));
    const training = await client.files.create({
      file: await toFile(Buffer.from('{"prompt":"a","completion":"b"}'), 'data.jsonl'),
      purpose: 'fine-tune',
    });
    for (const [body, status, param] of [
      [{ input_file_id: `file-${'0'.repeat(24)}` }, 404, 'input_file_id'],
      [{ input_file_id: training.id }, 404, 'input_file_id'],
      [{ endpoint: '/v1/embeddings' }, 400, 'endpoint'],
      [{ completion_window: '1h' }, 400, 'completion_window'],
      [{ metadata: { key: 'x'.repeat(513) } }, 400, 'metadata.key'],
      [{ output_expires_after: { anchor: 'created_at', seconds: 3600 } }, 400, 'output_expires_after'],
      [{ wombat: 1 }, 400, 'wombat'],
    ] as const) {
      const usual = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' };
      const create = client.batches.create({ ...usual, ...body } as never);
      await expect(create, JSON.stringify(body)).rejects.toMatchObject({ status, param });
    }
    const metadata = { ['k'.repeat(65)]: 'v' };
    const create = client.batches.create({
      input_file_id,
      endpoint: '/v1/completions',
      completion_window: '24h',
      metadata,
    });
    await expect(create).rejects.toThrow(`A name in 'metadata' must NOT have more than 64 characters.`);
    await expect(client.batches.list({ limit: 101 })).rejects.toMatchObject({ status: 400, param: 'limit' });
    await expect(client.batches.retrieve('batch_1')).rejects.toMatchObject({ status: 404, param: 'batch_id' });
    expect((await client.batches.list()).data).toEqual([]);
  });

  it('where a tenant has as many as it may have, where it has no room for files, and where nobody does them', async () => {
    const full = clientOf(await realServer({ apiKeys, maxBatches: 0 }));
    await expect(createBatch(full, batchRequests(1, [BASE]))).rejects.toMatchObject({
      status: 429,
      code: 'too_many_jobs',
    });
    const roomless = clientOf(await realServer({ apiKeys, maxTrainingFiles: 1 }));
    const create = createBatch(roomless, batchRequests(1, [BASE]));
    await expect(create).rejects.toMatchObject({ status: 403, code: 'file_quota_exceeded' });
    const off = clientOf(await realServer({ apiKeys, batchWorkers: 0, maxBatchFileBytes: 2048 }));
    await expect(createBatch(off, batchRequests(1, [BASE]))).rejects.toMatchObject({
      status: 501,
      code: 'batches_off',
    });
    const large = uploadLines(off, ['x'.repeat(2049)]);
    await expect(large).rejects.toMatchObject({ status: 413, code: 'request_too_large' });
  });
});

it('a batch goes on after its server is killed and after one leaves, with no line lost and none twice', async () => {
  const settings = { PREAMBLE_CACHE: testModelCache, PREAMBLE_SLOTS: '4', PREAMBLE_SEED_PREFIXES: 'on' };
  const first = await startProgram(settings);
  const store = { ...settings, PREAMBLE_STORE: `file:${first.directory}/prefixes` };
  const clientAt = (address: string): OpenAI => new OpenAI({ baseURL: `${address}/v1`, apiKey: 'none', maxRetries: 0 });
  const client = clientAt(await addressOf(first));
  const lines = batchRequests(200, [BASE, 'headlines'], 32);
  const { id } = await createBatch(client, lines);
  await batchUntilDone(client, id, 20);
  first.process.kill('SIGKILL');
  await once(first.process, 'exit');

  const second = await startProgram(store);
  const other = clientAt(await addressOf(second));
  expect((await other.batches.retrieve(id)).status).toBe('in_progress');
  await batchUntilDone(other, id, 60);
  second.process.kill('SIGTERM');
  await once(second.process, 'exit');
  expect(second.process.exitCode).toBe(0);

  const last = clientAt(await addressOf(await startProgram(store)));
  const batch = await batchUntil(last, id, 'completed', 'failed');
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 200, completed: 200, failed: 0 } });
  const answers = await batchLines(last, batch.output_file_id);
  // The same batch without an interruption.
  const twin = await batchUntil(last, (await createBatch(last, lines)).id, 'completed');
  expect(textsOf(answers)).toEqual(textsOf(await batchLines(last, twin.output_file_id)));
  expect(answers).toHaveLength(200);
  expect(batch.usage).toEqual(twin.usage);
}, 400_000);
