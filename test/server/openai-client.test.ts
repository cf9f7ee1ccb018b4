import OpenAI from 'openai';
import { describe, expect, it, vi } from 'vitest';

import { EngineError } from '../../src/engine/errors.js';
import { realServer, type RealServer, uploadBundled } from '../support/real-server.js';
import { listen, testServer, type TestServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

async function connectClient(
  overrides: Parameters<typeof testServer>[0] = {},
): Promise<TestServer & { client: OpenAI }> {
  const server = await testServer(overrides, { library: await testLibrary() });
  const baseURL = `${await listen(server.app)}/v1`;
  return { ...server, client: new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0 }) };
}

const request = { model: 'tiny', prompt: ['abc', 'é'], n: 2, max_tokens: 5, logprobs: 0 };

describe('the official client', () => {
  it('gets a completion, and the same one as a stream', async () => {
    const { client } = await connectClient();
    const whole = await client.completions.create(request);
    expect(whole.choices.map(({ text }) => text)).toEqual(['abcab', 'abcab', 'éé\uFFFD', 'éé\uFFFD']);
    const texts = ['', '', '', ''];
    let usage: unknown;
    const stream = await client.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      for (const { index, text } of chunk.choices) texts[index] = `${texts[index] ?? ''}${text}`;
      usage = chunk.usage;
    }
    expect(texts).toEqual(whole.choices.map(({ text }) => text));
    expect(usage).toEqual(whole.usage);
  });

  it('reads which version of a prefix has answered, whole and in a stream', async () => {
    const { app, client } = await connectClient();
    const payload = { name: 'alice', text: 'Dear' };
    const uploaded = await app.inject({ method: 'POST', url: '/v1/prefixes', payload });
    const version = uploaded.json<{ version: string }>().version.slice(0, 12);
    const one = { model: 'alice', prompt: 'abc', max_tokens: 2, user: 'somebody' };
    expect((await client.completions.create(one)).system_fingerprint).toBe(version);
    for await (const chunk of await client.completions.create({ ...one, stream: true }))
      expect(chunk.system_fingerprint).toBe(version);
    expect((await client.completions.create({ ...one, model: `alice@${version}` })).system_fingerprint).toBe(version);
  });

  it('lists models', async () => {
    const { client } = await connectClient();
    expect(await client.models.retrieve('tiny')).toMatchObject({ id: 'tiny', object: 'model', parent: null });
  });

  it('throws its own errors', async () => {
    const { client, engine } = await connectClient({ apiKeys: [{ tenant: 'a', key: 'key' }] });
    await expect(client.completions.create({ ...request, temperature: 3 })).rejects.toMatchObject({
      constructor: OpenAI.BadRequestError,
      param: 'temperature',
      code: 'invalid_value',
      type: 'invalid_request_error',
      requestID: expect.any(String) as string,
    });
    await expect(client.models.retrieve('nothing')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    const stranger = client.withOptions({ apiKey: 'other' });
    await expect(stranger.completions.create(request)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    engine.capacity = 0;
    await expect(client.completions.create(request)).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  });

  it('throws what goes wrong within a stream', async () => {
    const { client, engine } = await connectClient();
    engine.script = (_, step) => {
      if (step === 1) throw new Error('broken');
    };
    const stream = await client.completions.create({ ...request, stream: true });
    const readAll = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(readAll()).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  it('frees the slot when it aborts', async () => {
    const { client, engine } = await connectClient();
    engine.script = (_, step) => (step === 1 ? new Promise(() => undefined) : undefined);
    const stream = await client.completions.create({ ...request, stream: true });
    for await (const _ of stream) break;
    while (engine.running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(engine.cancelled).toBe(4);
  });

  it('shows the id of the request, which is the caller’s own if it has one', async () => {
    const { client } = await connectClient();
    const { data, response, request_id } = await client.completions.create(request).withResponse();
    expect(data.choices).toHaveLength(4);
    expect(request_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('x-request-id')).toBe(request_id);
    const options = { headers: { 'x-request-id': 'mine-1' } };
    expect((await client.models.retrieve('tiny', options).withResponse()).request_id).toBe('mine-1');
  });

  it('comes again while the server is full, when it was told to', async () => {
    const { client, engine } = await connectClient();
    const attempts: number[] = [];
    const submit = engine.submit.bind(engine);
    engine.submit = (asked) => {
      attempts.push(Date.now());
      if (attempts.length < 3) throw new EngineError('queue_full', 'full');
      return submit(asked);
    };
    const patient = client.withOptions({ maxRetries: 2 });
    const answer = await patient.completions.create({ model: 'tiny', prompt: 'abc', max_tokens: 2 });
    expect(answer.choices[0]?.text).toBe('ab');
    expect(attempts).toHaveLength(3);
    // Its own first wait would be half a second; ours is a whole one, and timers are exact to a millisecond or so.
    expect((attempts[1] ?? 0) - (attempts[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('gives up after as many retries as it may, and does not come again for what stays wrong', async () => {
    const { client, engine } = await connectClient();
    let attempts = 0;
    engine.submit = () => {
      attempts++;
      throw new EngineError('queue_full', 'full');
    };
    const asked = { model: 'tiny', prompt: 'abc' };
    const error: unknown = await client
      .withOptions({ maxRetries: 1 })
      .completions.create(asked)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error).toMatchObject({ status: 503, code: 'queue_full', type: 'server_error' });
    expect((error as InstanceType<typeof OpenAI.InternalServerError>).headers.get('retry-after')).toBe('1');
    expect(attempts).toBe(2);

    engine.submit = () => {
      attempts++;
      throw new EngineError('invalid_prompt', 'no');
    };
    await expect(client.withOptions({ maxRetries: 2 }).completions.create(asked)).rejects.toBeInstanceOf(
      OpenAI.BadRequestError,
    );
    expect(attempts).toBe(3);
  });
});

describe('the official client on the demo model', () => {
  const asked = { model: 'preamble-demo', prompt: ['The storm', 'Dear'], max_tokens: 24, logprobs: 3 };

  const connect = ({ url }: RealServer): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });

  interface Whole {
    text: string;
    token_ids: number[];
    tokens: string[];
    token_logprobs: number[];
    text_offset: number[];
    finish_reason: string | null;
  }
  const empty = (): Whole => ({
    text: '',
    token_ids: [],
    tokens: [],
    token_logprobs: [],
    text_offset: [],
    finish_reason: null,
  });

  /** Adds what a choice, or a chunk of one, says. */
  function add(to: Whole, choice: OpenAI.CompletionChoice & { token_ids?: number[] }): void {
    to.text += choice.text;
    to.token_ids.push(...(choice.token_ids ?? []));
    to.tokens.push(...(choice.logprobs?.tokens ?? []));
    to.token_logprobs.push(...(choice.logprobs?.token_logprobs ?? []));
    to.text_offset.push(...(choice.logprobs?.text_offset ?? []));
    // The client's type forgets the null of a chunk that is not the last.
    to.finish_reason ??= choice.finish_reason as string | null;
  }

  it.each([
    ['greedy', { temperature: 0 }],
    ['seeded', { temperature: 1, top_p: 0.9, seed: 7, n: 3 }],
    ['with echo', { temperature: 0, echo: true }],
    ['stopped', { temperature: 0, stop: ['e', ' the'] }],
    ['composed', { model: 'headlines+casual-chat', temperature: 0 }],
    ['guided', { model: 'headlines', guidance_scale: 1.5, temperature: 1, seed: 7, n: 2 }],
    ['blended', { blend: ['headlines', 'casual-chat'].map((model) => ({ model, weight: 0.5 })), temperature: 0 }],
  ])('gets from a stream what it gets at once: %s', async (_, changes) => {
    const server = await realServer();
    for (const name of ['headlines', 'casual-chat']) await uploadBundled(server.url, name);
    const client = connect(server);
    // A field that OpenAI does not have.
    const body = { ...asked, ...changes, return_token_ids: true };
    const whole = (await client.completions.create(body)).choices.map((choice) => {
      const one = empty();
      add(one, choice);
      return one;
    });
    const streamed = whole.map(empty);
    for await (const { choices } of await client.completions.create({ ...body, stream: true })) {
      for (const choice of choices) add(streamed[choice.index] ?? empty(), choice);
    }
    expect(whole.every(({ token_ids }) => token_ids.length > 0)).toBe(true);
    const rounded = (ones: Whole[]) => ones.map((one) => ({ ...one, token_logprobs: [] }));
    expect(rounded(streamed)).toEqual(rounded(whole));
    whole.forEach(({ token_logprobs }, at) => {
      token_logprobs.forEach((logprob, i) => expect(streamed[at]?.token_logprobs[i]).toBeCloseTo(logprob, 3));
    });
  });

  it('frees its slots when it aborts, with a stream and without', async () => {
    const server = await realServer({ slots: 2 });
    const client = connect(server);
    const step = vi.spyOn(server.model.runner, 'step');
    // 400 steps for each pair of choices, 25,600 in all, unless somebody lets them go.
    const long = { ...asked, n: 64, max_tokens: 400, ignore_eos: true };
    const stream = await client.completions.create({ ...long, stream: true });
    for await (const _ of stream) break;
    await server.engine.idle();
    expect(server.engine.stats()).toMatchObject({ running: 0, waiting: 0 });

    const abort = new AbortController();
    const pending = client.completions.create(long, { signal: abort.signal }).catch((thrown: unknown) => thrown);
    while (server.engine.stats().running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    expect(await pending).toBeInstanceOf(OpenAI.APIUserAbortError);
    await server.engine.idle();
    expect(server.engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    expect(step.mock.calls.length).toBeLessThan(5000);
  });
});
