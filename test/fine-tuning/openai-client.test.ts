import OpenAI, { toFile } from 'openai';
import { describe, expect, it } from 'vitest';

import { adapterId } from '../../src/prefix/name.js';
import { realServer, type RealServer } from '../support/real-server.js';

const KEYS = { alice: 'alices-key', bob: 'bobs-key' };
const apiKeys = Object.entries(KEYS).map(([tenant, key]) => ({ tenant, key }));
const BASE = 'preamble-demo';
/** What makes a job short and its prefix different from nothing. */
const quick = { mlp: 0, length: 4, learning_rate: 0.05, max_steps: 12 };

const EXAMPLES = Array.from({ length: 8 }, (_, i) => ({ prompt: `Question ${i}:`, completion: ' Forty-two.' }));
const lines = (examples: readonly object[]): string => examples.map((example) => JSON.stringify(example)).join('\n');

function clientOf({ url }: Pick<RealServer, 'url'>, tenant: keyof typeof KEYS): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: KEYS[tenant], maxRetries: 0 });
}

async function upload(client: OpenAI, content = lines(EXAMPLES), name = 'data.jsonl'): Promise<string> {
  const file = await toFile(Buffer.from(content), name);
  return (await client.files.create({ file, purpose: 'fine-tune' })).id;
}

type Job = OpenAI.FineTuning.FineTuningJob;

function create(client: OpenAI, body: Record<string, unknown>): Promise<Job> {
  return client.fineTuning.jobs.create({ model: BASE, prefix_tuning: quick, ...body } as never);
}

/** The job once it has one of the statuses. */
async function until(client: OpenAI, id: string, ...statuses: string[]): Promise<Job> {
  let job: Job | undefined;
  const look = async (): Promise<string> => (job = await client.fineTuning.jobs.retrieve(id)).status;
  await expect.poll(look, { timeout: 60_000, interval: 50 }).toBeOneOf(statuses);
  return job as Job;
}

const ended = ['succeeded', 'failed', 'cancelled'];

describe('the official client', () => {
  it('gets what was trained when the time of a job is over', async () => {
    const client = clientOf(await realServer({ apiKeys, tuningMaxSeconds: 1 }), 'alice');
    const { id } = await create(client, {
      training_file: await upload(client),
      prefix_tuning: { ...quick, max_steps: 1_000_000 },
      hyperparameters: { n_epochs: 1000, batch_size: 1 },
    });
    expect(await until(client, id, ...ended)).toMatchObject({ status: 'succeeded', error: null });
    const events = (await client.fineTuning.jobs.listEvents(id, { limit: 100 })).data;
    expect(events.find(({ level }) => level === 'warn')?.message).toMatch(/^Training was ended after 1 s/);
  });

  it('trains a prefix on its file, and uses it at once', async () => {
    const server = await realServer({ apiKeys });
    const [client, other] = [clientOf(server, 'alice'), clientOf(server, 'bob')];
    const training_file = await upload(client);
    const validation_file = await upload(client, lines(EXAMPLES.slice(0, 2)), 'valid.jsonl');
    const created = await create(client, {
      training_file,
      validation_file,
      suffix: 'users/alice',
      seed: 7,
      method: { type: 'supervised', supervised: { hyperparameters: { batch_size: 4, n_epochs: 1 } } },
      metadata: { note: 'mine', 'two\nlines': 'kept' },
      integrations: [],
    });
    expect(created).toMatchObject({
      object: 'fine_tuning.job',
      model: BASE,
      organization_id: 'alice',
      seed: 7,
      training_file,
      validation_file,
      metadata: { note: 'mine', 'two\nlines': 'kept' },
      hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate_multiplier: 1 },
      fine_tuned_model: null,
      error: null,
    });

    const job = await until(client, created.id, ...ended);
    expect(job.error).toBeNull();
    expect(job).toMatchObject({ status: 'succeeded', trained_tokens: expect.any(Number), estimated_finish: null });
    expect(job.fine_tuned_model).toMatch(/^users\/alice@[0-9a-f]{12}$/);
    const events = await client.fineTuning.jobs.listEvents(job.id, { limit: 100 });
    const messages = events.data.map(({ message }) => message).reverse();
    expect(messages[0]).toBe(`Created fine-tuning job: ${job.id}`);
    expect(messages.at(-1)).toBe(`New model created: ${job.fine_tuned_model}`);
    expect(messages.join('\n')).toMatch(/Step 12\/12: validation loss=/);

    // The curve is a file of the tenant's.
    const curve = await (await client.files.content(job.result_files[0]!)).text();
    expect(curve.trim().split('\n')).toHaveLength(13);
    expect((await client.files.list()).data.map(({ purpose }) => purpose).sort()).toEqual([
      'fine-tune',
      'fine-tune',
      'fine-tune-results',
    ]);
    const uploaded = await client.files.list({ purpose: 'fine-tune', order: 'desc', limit: 1 });
    expect(uploaded.data.map(({ id }) => id)).toEqual([validation_file]);
    expect((await uploaded.getNextPage()).data.map(({ id }) => id)).toEqual([training_file]);
    expect((await client.files.list({ purpose: 'fine-tune-results' })).data).toMatchObject([
      { id: job.result_files[0] },
    ]);

    const ask = (model: string) =>
      client.completions.create({ model, prompt: 'Question 3:', max_tokens: 4, temperature: 0, logprobs: 1 });
    const [base, pinned, named] = [await ask(BASE), await ask(job.fine_tuned_model!), await ask('users/alice')];
    const first = (answer: typeof base): number => answer.choices[0]!.logprobs!.token_logprobs![0]!;
    expect(pinned.choices[0]!.text).toBe(named.choices[0]!.text);
    expect(first(pinned)).not.toBeCloseTo(first(base), 3);
    expect(pinned.usage).toMatchObject({ prompt_tokens_details: { prefix_tokens: 4 } });

    // Nothing of it is another tenant's.
    const theirs = await upload(other);
    for (const attempt of [
      () => other.completions.create({ model: job.fine_tuned_model!, prompt: 'a' }),
      () => other.files.retrieve(training_file),
      () => other.files.content(job.result_files[0]!),
      () => other.files.delete(training_file),
      () => other.fineTuning.jobs.retrieve(job.id),
      () => other.fineTuning.jobs.cancel(job.id),
      () => other.fineTuning.jobs.listEvents(job.id),
      () => create(other, { training_file }),
      () => create(other, { training_file: theirs, model: 'users/alice' }),
    ]) {
      await expect(attempt(), attempt.toString()).rejects.toMatchObject({ status: 404 });
    }
    expect((await other.fineTuning.jobs.list()).data).toEqual([]);

    // Going on from it gives a new version of the name; the old one stays.
    const next = await create(client, {
      model: job.fine_tuned_model!,
      training_file,
      suffix: 'users/alice',
      prefix_tuning: { ...quick, length: null, max_steps: 2 },
    });
    const continued = await until(client, next.id, ...ended);
    expect(continued).toMatchObject({ status: 'succeeded', error: null });
    expect(continued.fine_tuned_model).not.toBe(job.fine_tuned_model);
    expect((await ask(job.fine_tuned_model!)).choices[0]!.text).toBe(pinned.choices[0]!.text);
    const listed = await client.fineTuning.jobs.list({ limit: 1 });
    expect(listed.data.map(({ id }) => id)).toEqual([next.id]);
    expect(listed.has_more).toBe(true);

    // What a completion is asked for by, a job may go on from: also the id of an adapter.
    const byId = await create(client, { model: adapterId('alice', 'users/alice'), training_file });
    expect(byId.model.startsWith(continued.fine_tuned_model!)).toBe(true);
    const own = create(other, { model: adapterId('alice', 'users/alice'), training_file: theirs });
    await expect(own).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    await client.fineTuning.jobs.cancel(byId.id);
  });

  it('is told which line of its file is wrong', async () => {
    const server = await realServer();
    const client = clientOf(server, 'alice');
    const fails = async (content: string): Promise<Job['error']> => {
      const { id } = await create(client, { training_file: await upload(client, content) });
      return (await until(client, id, ...ended)).error;
    };
    const code = 'invalid_training_file';
    expect(await fails(`${lines(EXAMPLES)}\n{"prompt": "a"}`)).toMatchObject({
      code,
      param: 'training_file',
      message: expect.stringContaining('line 9: completion'),
    });
    expect(await fails('not json')).toMatchObject({ code, message: expect.stringContaining('line 1') });
    expect(await fails('')).toMatchObject({ code, message: expect.stringContaining('no examples') });
    expect(await fails('{"messages": [{"role": "user", "content": "a"}]}')).toMatchObject({
      code,
      message: expect.stringContaining('prompt'),
    });
  });

  it('is told which field of its request is wrong, where only training finds out', async () => {
    const { url } = await realServer();
    const client = clientOf({ url }, 'alice');
    const training_file = await upload(client);
    const failure = async (id: string): Promise<Job['error']> => (await until(client, id, ...ended)).error;
    const fails = async (body: Record<string, unknown>) =>
      failure((await create(client, { training_file, ...body })).id);
    expect(await fails({ validation_file: await upload(client, '') })).toEqual({
      code: 'invalid_training_file',
      message: 'validation_file: no examples',
      param: 'validation_file',
    });
    const init = 'Answer this question in a few words:';
    expect(await fails({ prefix_tuning: { ...quick, mlp: 2, init } })).toMatchObject({
      code: 'invalid_value',
      message: expect.stringMatching(/^prefix_tuning\.mlp: 2 is less than the 4 virtual tokens/),
      param: 'prefix_tuning.mlp',
    });
    const short = { training_file, suffix: 'short', prefix_tuning: { ...quick, length: 3, max_steps: 1 } };
    expect(await fails(short)).toBeNull();
    expect(await fails({ model: 'short' })).toMatchObject({
      message: 'prefix_tuning.length: 4, but the adapter has 3 virtual tokens',
      param: 'prefix_tuning.length',
    });

    // Deleted while a job waits.
    const prefix_tuning = { ...quick, max_steps: 1_000_000 };
    const endless = await create(client, { training_file, prefix_tuning, hyperparameters: { n_epochs: 1000 } });
    const waiting = await create(client, { training_file, model: 'short' });
    await fetch(`${url}/v1/prefixes/short`, { method: 'DELETE' });
    await client.fineTuning.jobs.cancel(endless.id);
    expect(await failure(waiting.id)).toEqual({
      code: 'prefix_not_found',
      message: expect.stringMatching(/^model: there is no prefix "short@[0-9a-f]{64}"$/),
      param: 'model',
    });
  });

  it('cancels a job that waits and one that runs', async () => {
    const server = await realServer();
    const client = clientOf(server, 'alice');
    const training_file = await upload(client);
    const endless = {
      training_file,
      prefix_tuning: { ...quick, max_steps: 1_000_000 },
      hyperparameters: { n_epochs: 1000 },
    };
    const [running, waiting] = [await create(client, endless), await create(client, endless)];
    await until(client, running.id, 'running');
    expect(await client.fineTuning.jobs.cancel(waiting.id)).toMatchObject({ status: 'cancelled' });
    // As the Python client does, which announces JSON and sends none.
    const headers = { authorization: `Bearer ${client.apiKey}`, 'content-type': 'application/json' };
    const cancelled = await fetch(`${client.baseURL}/fine_tuning/jobs/${running.id}/cancel`, {
      method: 'POST',
      headers,
    });
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', fine_tuned_model: null });
    await expect(client.fineTuning.jobs.cancel(running.id)).rejects.toMatchObject({
      status: 409,
      code: 'job_finished',
    });
    // The worker is free again.
    const after = await create(client, { training_file });
    expect(await until(client, after.id, ...ended)).toMatchObject({ status: 'succeeded' });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([BASE, after.id]);
  });
});

it('does not cancel a job whose prefix is served already', async () => {
  const client = clientOf(await realServer(), 'alice');
  const training_file = await upload(client);
  for (let i = 0; i < 3; i++) {
    const suffix = `users/${i}`;
    const { id } = await create(client, { training_file, suffix, prefix_tuning: { ...quick, max_steps: 1 } });
    const isServed = (): Promise<boolean> =>
      client.models.retrieve(suffix).then(
        () => true,
        () => false,
      );
    await expect.poll(isServed, { timeout: 60_000, interval: 1 }).toBe(true);
    await expect(client.fineTuning.jobs.cancel(id)).rejects.toMatchObject({ status: 409, code: 'job_finished' });
    expect(await until(client, id, ...ended)).toMatchObject({ status: 'succeeded' });
  }
});

it('lists what the official client asks for', async () => {
  const server = await realServer({ apiKeys });
  const [client, other] = [clientOf(server, 'alice'), clientOf(server, 'bob')];
  const files: string[] = [];
  for (let i = 0; i < 3; i++) files.push(await upload(client, lines(EXAMPLES), `${i}.jsonl`));
  const listed = async (query: OpenAI.FileListParams): Promise<string[]> => {
    const found: string[] = [];
    for await (const { id } of client.files.list(query)) found.push(id);
    return found;
  };
  expect(await listed({ order: 'asc', limit: 2 })).toEqual(files);
  expect(await listed({ order: 'asc', purpose: 'fine-tune', limit: 10_000 })).toEqual(files);
  expect(await listed({ order: 'desc', limit: 2 })).toEqual(files.toReversed());
  await expect(listed({ purpose: 'assistants' })).rejects.toMatchObject({ status: 400, param: 'purpose' });

  const training_file = files[0];
  const labels = [{ run: 'a b&c', 'x]': '1' }, { run: 'a' }, null, {}];
  const ids: string[] = [];
  for (const metadata of labels) ids.push((await create(client, { training_file, metadata })).id);
  const jobs = async (metadata: Record<string, string> | null, from = client): Promise<string[]> => {
    const found: string[] = [];
    for await (const { id } of from.fineTuning.jobs.list({ metadata, limit: 1 })) found.push(id);
    return found;
  };
  expect(await jobs({ run: 'a b&c', 'x]': '1' })).toEqual([ids[0]]);
  expect(await jobs({ run: 'a' })).toEqual([ids[1]]);
  expect(await jobs({ run: 'a', other: 'b' })).toEqual([]);
  expect(await jobs({ toString: 'a' })).toEqual([]);
  expect(await jobs(null)).toEqual([ids[3], ids[2]]);
  expect(await jobs({ run: 'a' }, other)).toEqual([]);
  const headers = { authorization: `Bearer ${KEYS.alice}` };
  const raw = async (query: string): Promise<unknown> =>
    (await fetch(`${server.url}/v1/fine_tuning/jobs?${query}`, { headers })).json();
  expect(await raw('metadata=null')).toMatchObject({ data: [{ id: ids[3] }, { id: ids[2] }] });
  const error = (param: string) => ({ error: { param } });
  expect(await raw('metadata=run')).toMatchObject(error('metadata'));
  expect(await raw('metadata=null&metadata[run]=a')).toMatchObject(error('metadata[run]'));
  expect(await raw('metadata[run]=a&metadata[run]=b')).toMatchObject(error('metadata.run'));
  for (const id of ids) await client.fineTuning.jobs.cancel(id).catch(() => undefined); // some have ended
});

it('has no checkpoints, pauses and expiry, and says what to do instead', async () => {
  const server = await realServer({ apiKeys, tuningWorkers: 1 });
  const [client, other] = [clientOf(server, 'alice'), clientOf(server, 'bob')];
  const { jobs } = client.fineTuning;
  const { id } = await create(client, { training_file: await upload(client) });
  expect((await jobs.checkpoints.list(id, { limit: 10 })).data).toEqual([]);
  const unsupported = { status: 400, code: 'unsupported_operation' };
  await expect(jobs.pause(id)).rejects.toMatchObject({ ...unsupported, message: expect.stringContaining('/cancel') });
  await expect(jobs.resume(id)).rejects.toMatchObject({ ...unsupported, message: expect.stringContaining('again') });
  const missing = { status: 404, code: 'job_not_found' };
  const theirs = other.fineTuning.jobs;
  for (const attempt of [theirs.checkpoints.list(id), theirs.pause(id), theirs.resume(id)])
    await expect(attempt).rejects.toMatchObject(missing);

  const file = await toFile(Buffer.from(lines(EXAMPLES)), 'data.jsonl');
  const expiring = { file, purpose: 'fine-tune', expires_after: { anchor: 'created_at', seconds: 3600 } } as const;
  await expect(client.files.create(expiring)).rejects.toMatchObject({
    status: 400,
    code: 'unsupported_parameter',
    param: 'expires_after',
    message: expect.stringContaining('DELETE'),
  });
  expect((await client.files.list()).data).toHaveLength(1);
  await until(client, id, ...ended);
});

describe('examples that do not fit the context', () => {
  it('fail the job, or are left out or cut where it says so, with an event', async () => {
    const client = clientOf(await realServer({ apiKeys }), 'alice');
    const long = { prompt: 'word '.repeat(2000), completion: ' Forty-two.' };
    const training_file = await upload(client, lines([...EXAMPLES, long]));
    const train = async (too_long: string): Promise<Job> => {
      const { id } = await create(client, { training_file, prefix_tuning: { ...quick, max_steps: 1, too_long } });
      return until(client, id, ...ended);
    };
    const failed = await train('fail');
    expect(failed.error).toMatchObject({ code: 'invalid_training_file', param: 'training_file' });
    expect(failed.error!.message).toMatch(/^training_file\.jsonl line 9: .*; prefix_tuning\.too_long may be skip, /);
    expect(failed.error!.message).toContain('; 1 of 9 examples is too long; ');
    for (const [too_long, what] of [
      ['skip', '1 left out'],
      ['cut', '1 with the source cut'],
    ] as const) {
      const job = await train(too_long);
      expect(job).toMatchObject({ status: 'succeeded', prefix_tuning: { too_long } });
      const events = (await client.fineTuning.jobs.listEvents(job.id, { limit: 100 })).data;
      expect(events.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
        `training_file: 1 of 9 examples is too long: ${what}`,
      ]);
    }
    await expect(train('drop')).rejects.toMatchObject({ status: 400, param: 'prefix_tuning.too_long' });
  });
});

describe('a job is refused', () => {
  const cases: [Record<string, unknown>, number, string][] = [
    [{ training_file: `file-${'0'.repeat(24)}` }, 404, 'training_file'],
    [{ model: 'nobody' }, 404, 'model'],
    [{ suffix: 'a//b' }, 400, 'suffix'],
    [{ suffix: BASE }, 400, 'suffix'],
    [{ integrations: [{ type: 'wandb', wandb: { project: 'x' } }] }, 400, 'integrations'],
    [{ method: { type: 'dpo' } }, 400, 'method.type'],
    [{ hyperparameters: { n_epochs: 0 } }, 400, 'hyperparameters.n_epochs'],
    [{ prefix_tuning: { length: 0 } }, 400, 'prefix_tuning.length'],
    [{ prefix_tuning: { length: 257 } }, 400, 'prefix_tuning.length'], // half of the context
    [{ prefix_tuning: { early_stopping: true } }, 400, 'prefix_tuning.early_stopping'],
    [{ prefix_tuning: { patience: 2 } }, 400, 'prefix_tuning.patience'],
    [{ prefix_tuning: { dropout: 0.1 } }, 400, 'prefix_tuning.dropout'],
    [{ seed: -1 }, 400, 'seed'],
  ];
  it('for what is wrong with its fields, naming them', async () => {
    const client = clientOf(await realServer(), 'alice');
    const training_file = await upload(client);
    for (const [body, status, param] of cases) {
      await expect(create(client, { training_file, ...body }), JSON.stringify(body)).rejects.toMatchObject({
        status,
        param,
      });
    }
    expect((await client.fineTuning.jobs.list()).data).toEqual([]);
  });

  it('for a prefix that would be too long to be stored, also by what it starts from', async () => {
    const client = clientOf(await realServer({ maxVirtualTokens: 4 }), 'alice');
    const training_file = await upload(client);
    const use = (prefix_tuning: object) => create(client, { training_file, prefix_tuning });
    for (const [prefix_tuning, message] of [
      [{ length: 5 }, 'is 5, and may be 4 at most'],
      [{}, 'is 10 unless given, and may be 4 at most'],
      [{ init: 'Answer this question in a few words:' }, / is [0-9]+ unless given/],
    ] as const) {
      await expect(use(prefix_tuning)).rejects.toMatchObject({
        status: 400,
        param: 'prefix_tuning.length',
        message: expect.stringMatching(message),
      });
    }
    expect((await use({ ...quick, init: 'Answer this question in a few words:' })).id).toMatch(/^ftjob-/);
  });

  it('where a tenant has as many as it may have, and where nobody trains', async () => {
    const full = clientOf(await realServer({ maxTuningJobs: 0 }), 'alice');
    const body = { training_file: await upload(full) };
    await expect(create(full, body)).rejects.toMatchObject({ status: 429, code: 'too_many_jobs' });
    const idle = clientOf(await realServer({ tuningWorkers: 0 }), 'alice');
    const other = { training_file: await upload(idle) };
    await expect(create(idle, other)).rejects.toMatchObject({ status: 501, code: 'fine_tuning_off' });
  });
});

it('takes a file without a name, and refuses what is no form', async () => {
  const { url } = await realServer({});
  const post = (body?: string, headers = {}): Promise<Response> =>
    fetch(`${url}/v1/files`, { method: 'POST', body: body ?? null, headers });
  const part = 'Content-Disposition: form-data; name=';
  const form = `--b\r\n${part}"purpose"\r\n\r\nfine-tune\r\n--b\r\n${part}"file"\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n`;
  const answer = await post(form, { 'content-type': 'multipart/form-data; boundary=b' });
  expect(await answer.json()).toMatchObject({ filename: 'file', bytes: 2 });
  expect((await fetch(`${url}/v1/files`)).status).toBe(200);
  for (const refused of [await post('{}', { 'content-type': 'application/json' }), await post('{}'), await post()]) {
    expect(refused.status).toBe(415);
    expect(await refused.json()).toMatchObject({ error: { code: 'unsupported_media_type' } });
  }
});

it('says in /openapi.json what a download is', async () => {
  const { url } = await realServer({});
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, { get: { responses: Record<string, { content: object }> } }>;
  };
  const answer = paths['/v1/files/{file_id}/content']?.get.responses['200'];
  expect(Object.keys(answer?.content ?? {})).toEqual(['application/octet-stream']);
});

it('takes files within its limits only', async () => {
  const client = clientOf(await realServer({ maxTrainingFileBytes: 2048, maxTrainingFiles: 2 }), 'alice');
  await expect(upload(client, 'x'.repeat(2049))).rejects.toMatchObject({ status: 413, code: 'request_too_large' });
  const id = await upload(client, 'x'.repeat(2048));
  await upload(client);
  await expect(upload(client)).rejects.toMatchObject({ status: 403, code: 'file_quota_exceeded' });
  expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
  await upload(client);
  const wrong = toFile(Buffer.from('x'), 'a.jsonl').then((file) => client.files.create({ file, purpose: 'vision' }));
  await expect(wrong).rejects.toMatchObject({ status: 400, param: 'purpose' });
});
