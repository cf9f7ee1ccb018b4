import OpenAI from 'openai';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisRateLimiter } from '../../src/redis/tenancy/rate-limiter.js';
import { formatDuration } from '../../src/lib/format-duration.js';
import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import { RedisServer } from '../support/redis-server.js';
import { eventsOf, listen, post, testServer, type TestServer } from './harness.js';
import { byteTokenizer } from './scripted-engine.js';

/** 3 tokens of prompt and 2 of answer. */
const completion = { model: 'tiny', prompt: 'abc', max_tokens: 2 };

const complete = async ({ app }: TestServer, changes: object = {}) =>
  post(app, '/v1/completions', { ...completion, ...changes });

describe('a tenant without limits', () => {
  it('is told nothing of any', async () => {
    const { headers } = await complete(await testServer());
    expect(Object.keys(headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });
});

describe('requests per minute', () => {
  it('pass up to the limit; then the client is told when to come again', async () => {
    const server = await testServer({ requestsPerMinute: 2 });
    const [first, second, third] = [await complete(server), await complete(server), await complete(server)];
    expect([first.status, second.status, third.status]).toEqual([200, 200, 429]);
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': expect.stringMatching(/^(30s|29\.\d+s)$/),
    });
    expect(first.headers).not.toHaveProperty('x-ratelimit-limit-tokens');
    expect(third.headers).toMatchObject({ 'retry-after': '30', 'x-ratelimit-remaining-requests': '0' });
    expect(third.body.error).toMatchObject({ type: 'requests', param: null, code: 'rate_limit_exceeded' });
    expect(third.body.error.message).toMatch(
      /^Rate limit reached: 2 requests a minute\. Try again in (30|29\.\d+)s\.$/,
    );
    expect(server.engine.submitted).toHaveLength(2);
  });

  it('at zero never pass, and clients are told not to try', async () => {
    const { status, headers, body } = await complete(await testServer({ requestsPerMinute: 0 }));
    expect(status).toBe(429);
    expect(headers).toMatchObject({ 'x-should-retry': 'false', 'x-ratelimit-limit-requests': '0' });
    expect(headers).not.toHaveProperty('retry-after');
    expect(body.error.message).toContain('never pass');
  });

  it('are taken before a prompt is tokenized', async () => {
    const server = await testServer({ requestsPerMinute: 1 });
    await complete(server);
    const encode = vi.spyOn(byteTokenizer, 'encode');
    onTestFinished(() => encode.mockRestore());
    expect((await complete(server)).status).toBe(429);
    expect(encode).not.toHaveBeenCalled();
  });

  it.each([
    ['a wrong field', { ...completion, temperature: 9 }, 400],
    ['a prompt beyond the context', { ...completion, max_tokens: 1000 }, 400],
    ['a prompt without tokens', { ...completion, prompt: '' }, 400],
    ['a body that is no JSON', '{', 400],
    ['too many values', `[${'1,'.repeat(1 << 20)}1]`, 400],
    ['a body that is too large', ' '.repeat(5 << 20), 413],
  ])('are taken by what is refused for %s, and then nothing of it is read', async (_, body, status) => {
    const server = await testServer({ requestsPerMinute: 1 });
    const send = () =>
      server.app.inject({
        method: 'POST',
        url: '/v1/completions',
        headers: { 'content-type': 'application/json' },
        payload: typeof body === 'string' ? body : JSON.stringify(body),
      });
    expect((await send()).statusCode).toBe(status);
    expect((await send()).statusCode).toBe(429);
    expect((await complete(server)).status).toBe(429);
  });

  it('are taken by a call of many that is refused, and by each refused request of it', async () => {
    const server = await testServer({ requestsPerMinute: 4 });
    const item = (custom_id: string) => ({ custom_id, body: { ...completion, temperature: 9 } });
    const send = (requests: object[]) => post(server.app, '/v1/batch/completions', { requests });
    expect((await send([item('a'), item('a')])).status).toBe(400);
    expect((await send([item('a'), item('b')])).status).toBe(200);
    expect((await complete(server)).headers['x-ratelimit-remaining-requests']).toBe('0');
  });

  it('are not taken by what fails through no fault of the caller', async () => {
    const server = await testServer({ requestsPerMinute: 1 });
    server.engine.capacity = 0;
    expect((await complete(server)).status).toBe(503);
    server.engine.capacity = 9;
    expect((await complete(server)).status).toBe(200);
  });

  it('are not taken by a request that the limit refuses, which would never come to pass', async () => {
    let now = 0;
    const server = await testServer({ requestsPerMinute: 1 }, { limiter: new MemoryRateLimiter(() => now) });
    expect((await complete(server)).status).toBe(200);
    for (now = 10_000; now < 60_000; now += 10_000) expect((await complete(server)).status).toBe(429);
    expect((await complete(server)).status).toBe(200);
  });
});

describe('tokens per minute', () => {
  it('are those of prompts and all choices, exactly', async () => {
    const request = { prompt: ['abc', 'defg'], n: 2, best_of: 3, max_tokens: 5 };
    expect((await complete(await testServer({ tokensPerMinute: 37 }), request)).headers).toMatchObject({
      'x-ratelimit-limit-tokens': '37',
      'x-ratelimit-remaining-tokens': '0',
    });
    const refused = await complete(await testServer({ tokensPerMinute: 36 }), request);
    expect(refused).toMatchObject({ status: 429, body: { error: { type: 'tokens', code: 'rate_limit_exceeded' } } });
    expect(refused.body.error.message).toMatch(
      /^Rate limit reached: 36 tokens a minute\. This request asks for 37, .* never pass: send a smaller 'max_tokens', or less of a prompt\.$/,
    );
    expect(refused.headers['x-should-retry']).toBe('false');
  });

  it.each([
    [{ max_tokens: 1000 }, 'context_length_exceeded'],
    [{ max_tokens: 40, logit_bias: { '999': 1 } }, 'invalid_value'],
  ])('do not stand before what can never be right: %j', async (fields, code) => {
    const server = await testServer({ tokensPerMinute: 5 });
    expect(await complete(server, fields)).toMatchObject({ status: 400, body: { error: { code } } });
  });

  it('that are too many take no request either', async () => {
    const server = await testServer({ requestsPerMinute: 1, tokensPerMinute: 5 });
    expect(await complete(server, { max_tokens: 3 })).toMatchObject({
      status: 429,
      body: { error: { type: 'tokens' } },
    });
    expect((await complete(server)).status).toBe(200);
  });

  it('that were not used are given back when the request ends, streamed or not, and nothing twice', async () => {
    const server = await testServer({ tokensPerMinute: 20 });
    server.engine.script = (_, step) => {
      if (step === 1) throw new Error('ends early');
    };
    // 3 + 10 are taken, 3 + 1 used.
    expect((await complete(server, { max_tokens: 10 })).headers['x-ratelimit-remaining-tokens']).toBe('7');
    const streamed = await complete(server, { max_tokens: 10, stream: true });
    expect(streamed.headers['x-ratelimit-remaining-tokens']).toBe('3');
    expect(eventsOf(streamed.text).at(-1)).toHaveProperty('error');
    expect((await complete(server, { max_tokens: 10 })).status).toBe(429);
    expect((await complete(server, { max_tokens: 9 })).headers['x-ratelimit-remaining-tokens']).toBe('0');
  });

  it('limit each item of a batch alone', async () => {
    const server = await testServer({ tokensPerMinute: 10 });
    const requests = ['a', 'b', 'c'].map((custom_id) => ({ custom_id, body: completion }));
    requests.push({ custom_id: 'large', body: { ...completion, max_tokens: 8 } });
    const { status, body } = await post(server.app, '/v1/batch/completions', { requests });
    expect(status).toBe(200);
    expect(body.data.map(({ response }) => response.status_code)).toEqual([200, 200, 429, 429]);
    expect(body.data[2]?.response.body.error).toMatchObject({ type: 'tokens', code: 'rate_limit_exceeded' });
    expect(body.data[3]?.response.body.error.message).toContain('never pass');
  });

  it.each([false, true])('are told after the last item of a batch, streamed: %s', async (stream) => {
    const server = await testServer({ requestsPerMinute: 4, tokensPerMinute: 17 });
    const item = (custom_id: string, changes: object = {}) => ({ custom_id, body: { ...completion, ...changes } });
    const send = (requests: object[]) => post(server.app, '/v1/batch/completions', { requests, stream });
    const limits = { 'x-ratelimit-limit-requests': '4', 'x-ratelimit-limit-tokens': '17' };
    const first = await send([item('a'), item('b', { temperature: 9 }), item('c')]);
    expect(first.headers).toMatchObject({
      ...limits,
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-remaining-tokens': '7',
      'x-ratelimit-reset-requests': expect.stringMatching(/^(45s|44\.\d+s)$/),
      'x-ratelimit-reset-tokens': expect.stringMatching(/^3\d(\.\d+)?s$/),
    });
    const refused = await send([item('d', { max_tokens: 9 })]);
    expect(refused.status).toBe(200);
    expect(refused.text).toContain('rate_limit_exceeded');
    expect(refused.headers).toMatchObject({ ...limits, 'x-ratelimit-remaining-tokens': '7' });
    expect(refused.headers).not.toHaveProperty('retry-after');
    const invalid = await send([item('e', { temperature: 9 })]);
    expect(Object.keys(invalid.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });

  it('limit each tenant alone', async () => {
    const apiKeys = ['a', 'b'].map((name) => ({ tenant: name, key: name }));
    const server = await testServer({ apiKeys, tokensPerMinute: 5 });
    const as = (key: string) => post(server.app, '/v1/completions', completion, { authorization: `Bearer ${key}` });
    expect([(await as('a')).status, (await as('a')).status, (await as('b')).status]).toEqual([200, 429, 200]);
  });
});

describe('the official client', () => {
  it('throws its RateLimitError, and waits as long as it is told', async () => {
    let start = Infinity;
    const elapsed = () => Math.max(0, performance.now() - start);
    const server = await testServer({ requestsPerMinute: 60 }, { limiter: new MemoryRateLimiter(elapsed) });
    const client = new OpenAI({ baseURL: `${await listen(server.app)}/v1`, apiKey: 'key', maxRetries: 0 });
    for (let i = 0; i < 60; i++) await client.completions.create(completion);
    const refused = client.completions.create(completion);
    await expect(refused).rejects.toMatchObject({
      constructor: OpenAI.RateLimitError,
      status: 429,
      type: 'requests',
      code: 'rate_limit_exceeded',
    });
    start = performance.now();
    expect((await client.completions.create(completion, { maxRetries: 1 })).choices).toHaveLength(1);
    expect(elapsed()).toBeGreaterThanOrEqual(990);
  });

  it('does not come again with what never passes', async () => {
    const server = await testServer({ tokensPerMinute: 1 });
    const client = new OpenAI({ baseURL: `${await listen(server.app)}/v1`, apiKey: 'key', maxRetries: 5 });
    await expect(client.completions.create(completion)).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    await expect.poll(() => server.log().match(/"status":429/g)).toHaveLength(1);
  });
});

describe('two servers on one Redis', () => {
  it('share the limits of a tenant', async () => {
    const redis = await RedisServer.start();
    onTestFinished(() => redis.stop());
    const open = async (): Promise<TestServer> => {
      const connection = await RedisConnection.open({ url: redis.url });
      onTestFinished(() => connection.close());
      return testServer({ requestsPerMinute: 3 }, { limiter: new RedisRateLimiter(connection) });
    };
    const [here, there] = [await open(), await open()];
    const statuses = [];
    for (const server of [here, there, here, there, here]) statuses.push((await complete(server)).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
  });
});

describe('a tenant’s own limits', () => {
  it('come before the server’s, and are in force at once when they are changed', async () => {
    const adminKey = 'open-sesame-please';
    const server = await testServer({ adminKey, apiKeys: [{ tenant: 'a', key: 'k' }], requestsPerMinute: 0 });
    const set = (limits: object) =>
      post(server.app, '/v1/admin/tenants/a', limits, { authorization: `Bearer ${adminKey}` });
    const call = async () =>
      (await post(server.app, '/v1/completions', completion, { authorization: 'Bearer k' })).status;
    expect(await call()).toBe(429);
    await set({ requests_per_minute: 1 });
    expect([await call(), await call()]).toEqual([200, 429]);
    await set({ requests_per_minute: null });
    expect(await call()).toBe(200);
    await set({ requests_per_minute: 'default' });
    expect(await call()).toBe(429);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0ms'],
    [6, '6ms'],
    [999, '999ms'],
    [1000, '1s'],
    [1500, '1.5s'],
    [59_999, '59.999s'],
    [60_000, '1m0s'],
    [360_000, '6m0s'],
    [432_120, '7m12.12s'],
  ])('writes %d ms as %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
});
