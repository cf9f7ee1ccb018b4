import { describe, expect, it } from 'vitest';

import { eventsOf, post, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

const completion = { model: 'tiny', prompt: 'abc', max_tokens: 2 };
const apiKeys = [{ tenant: 'alice', key: 'key-a' }];
const stranger = 'https://evil.example';

describe('CORS', () => {
  const origin = 'https://app.example';
  const allowed = { allowedOrigins: [origin, 'chrome-extension://abc'] };
  const preflight = {
    method: 'OPTIONS' as const,
    url: '/v1/completions',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,x-stainless-os',
    },
  };

  it('is off unless a setting turns it on', async () => {
    const { app } = await testServer();
    const answer = await app.inject(preflight);
    expect(answer.statusCode).toBe(204);
    expect(Object.keys(answer.headers).filter((name) => /^(access-control-|vary)/.test(name))).toEqual([]);
  });

  it.each([{ ...allowed }, { ...allowed, apiKeys }])('answers a preflight, which has no key', async (settings) => {
    const { app } = await testServer(settings);
    const answer = await app.inject(preflight);
    expect(answer.statusCode).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'authorization,content-type,x-stainless-os',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
      vary: 'Origin, Access-Control-Request-Headers',
    });
    const other = await app.inject({ ...preflight, headers: { ...preflight.headers, origin: stranger } });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    expect(other.headers['vary']).toContain('Origin');
  });

  it('is on answers, streams and errors, and lets a page read what is about the request', async () => {
    const { app } = await testServer({ ...allowed, apiKeys }, { library: await testLibrary() });
    const key = { authorization: 'Bearer key-a' };
    const answers = [
      await post(app, '/v1/completions', completion, { origin, ...key }),
      await post(app, '/v1/completions', { ...completion, stream: true }, { origin, ...key }),
      await post(app, '/v1/completions', { ...completion, model: 'none' }, { origin, ...key }),
      await post(app, '/v1/completions', '{', { origin, ...key }),
      await post(app, '/v1/completions', completion, { origin }),
      await post(app, '/v1/nothing', completion, { origin }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 400, 401, 404]);
    expect(eventsOf(answers[1]?.text ?? '').length).toBeGreaterThan(0);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'Origin' });
      expect(headers['access-control-expose-headers']).toMatch(/x-request-id, retry-after.*x-ratelimit-reset-tokens/);
    }
  });

  it('says that answers vary by origin where there is none, too', async () => {
    const { app } = await testServer(allowed);
    const answer = await app.inject({ url: '/livez' });
    expect(answer.headers).toMatchObject({ vary: 'Origin' });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('takes an extension’s origin', async () => {
    const { app } = await testServer(allowed);
    const headers = { origin: 'chrome-extension://abc' };
    expect(await post(app, '/v1/completions', completion, headers)).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': headers.origin },
    });
  });

  it('takes every origin that has a key, where it is told to', async () => {
    const { app } = await testServer({ apiKeys, allowedOrigins: ['*'] });
    const headers = { origin: stranger, authorization: 'Bearer key-a' };
    const answer = await post(app, '/v1/completions', completion, headers);
    expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': '*' } });
  });
});
