import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';

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
});
