import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';

import { describe, expect, it, vi } from 'vitest';

import { listen, post, sharedServer, testServer } from './harness.js';

const completion = { model: 'tiny', prompt: 'abc', max_tokens: 2 };

describe('the error envelope', () => {
  const server = sharedServer({ maxBodyBytes: 1024 });

  it.each(['/nothing', '/v1/nothing', '/v1/admin/tenants'])('is on 404 of %s', async (url) => {
    const { app } = server();
    const response = await app.inject({ url });
    expect(response.statusCode).toBe(404);
    expect(response.headers['x-request-id']).toBeDefined();
    expect(response.json()).toEqual({
      error: { message: 'No such route.', type: 'invalid_request_error', param: null, code: 'route_not_found' },
    });
  });

  it.each([
    ['{"model": secret words}', 'application/json', 400, 'invalid_json'],
    ['', 'application/json', 400, 'invalid_json'],
    ['{"__proto__": {"a": 1}}', 'application/json', 400, 'unknown_parameter'],
    ['[]', 'application/json', 400, 'invalid_type'],
    ['null', 'application/json', 400, 'invalid_type'],
    ['{}', 'text/plain', 415, 'unsupported_media_type'],
    ['a=b', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
    ['--x--', 'multipart/form-data; boundary=x', 415, 'unsupported_media_type'],
    ['{}', 'nonsense', 415, 'unsupported_media_type'],
    [JSON.stringify({ ...completion, user: 'u'.repeat(2000) }), 'application/json', 413, 'request_too_large'],
  ])('is on the body %j of type %s', async (body, type, status, code) => {
    const { app } = server();
    const answer = await post(app, '/v1/completions', body, { 'content-type': type });
    expect(answer).toMatchObject({ status, body: { error: { code, type: 'invalid_request_error' } } });
    expect(answer.text).not.toContain('secret');
  });

  it('is on a request without a body', async () => {
    const { app } = await testServer();
    expect((await app.inject({ method: 'POST', url: '/v1/completions' })).json()).toMatchObject({
      error: { code: 'invalid_type', param: null },
    });
  });

  it('is on a path that is no URL, and on one that is too long', async () => {
    const { app } = await testServer();
    const bad = await app.inject({ url: '/v1/models/%E0%A4%A' });
    expect([bad.statusCode, bad.json()]).toMatchObject([400, { error: { code: 'invalid_request' } }]);
    expect(bad.headers['x-request-id']).toBeDefined();
    const long = await app.inject({ url: `/v1/models/${'a'.repeat(2000)}` });
    expect([long.statusCode, long.json()]).toMatchObject([404, { error: { code: 'route_not_found' } }]);
  });

  it('is on what is no HTTP', async () => {
    const { app } = await testServer();
    const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1');
    socket.write('nonsense\r\n\r\n');
    const answer = await readAll(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*\r\nx-request-id: /s);
    expect(answer).toContain('"code":"invalid_request"');
  });
});

describe('x-request-id', () => {
  const server = sharedServer();

  it('is the caller’s if it is sane', async () => {
    const { app } = await testServer();
    const sane = 'A-z_0.9'.repeat(18);
    expect((await app.inject({ url: '/livez', headers: { 'x-request-id': sane } })).headers['x-request-id']).toBe(sane);
  });

  it.each(['', 'a b', 'a\tb', 'ä', '"', 'x'.repeat(129)])('is a new one instead of %j', async (given) => {
    const { app } = server();
    const id = (await app.inject({ url: '/livez', headers: { 'x-request-id': given } })).headers['x-request-id'];
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('keys', () => {
  const server = sharedServer({ apiKeys: [{ tenant: 'alice', key: 'key-a' }] });
  const keys = { apiKeys: [{ tenant: 'alice', key: 'key-a' }, { tenant: 'bob', key: 'key-b' }] }; // prettier-ignore

  it('decide the tenant', async () => {
    const { app, engine } = await testServer(keys);
    for (const key of ['key-b', 'key-a'])
      await post(app, '/v1/completions', completion, { authorization: `Bearer ${key}` });
    expect(engine.submitted.map(({ tenant }) => tenant)).toEqual(['bob', 'alice']);
  });

  it.each([undefined, '', 'key-a', 'Bearer', 'Bearer ', 'Bearer key-', 'Bearer key-a key-b', 'Basic key-a'])(
    'are asked for: %j is not one',
    async (authorization) => {
      const { app, engine } = server();
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await post(app, '/v1/completions', completion, headers);
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key' } } });
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(engine.submitted).toEqual([]);
    },
  );

  it('are not asked for by health and documentation', async () => {
    const { app } = await testServer(keys);
    for (const url of ['/livez', '/readyz', '/health', '/metrics', '/openapi.json']) {
      expect((await app.inject({ url })).statusCode).toBe(200);
    }
  });

  it('are ignored when there are none', async () => {
    const { app, engine } = await testServer();
    await post(app, '/v1/completions', completion, { authorization: 'Bearer anything' });
    expect(engine.submitted[0]?.tenant).toBe('default');
  });
});

describe('the log', () => {
  it('has counts and times, and nothing of what was asked or said', async () => {
    const { app, log } = await testServer({ apiKeys: [{ tenant: 'alice', key: 'sesame' }] });
    const url = await listen(app);
    const headers = { authorization: 'Bearer sesame', 'content-type': 'application/json' };
    const send = async (body: string): Promise<unknown> =>
      (await fetch(`${url}/v1/completions`, { method: 'POST', body, headers })).text();
    const body = { ...completion, prompt: 'Rumpelstilz', user: 'Schneewittchen' };
    await send(JSON.stringify(body));
    await send(JSON.stringify({ ...body, temperature: 5 }));
    await send('{"prompt": Rumpelstilz');
    await (await fetch(`${url}/v1/nothing?secret=Rapunzel`, { headers })).text();
    await vi.waitFor(() => expect(log().match(/"msg":"request"/g)).toHaveLength(4), 30_000);
    expect(log()).not.toMatch(/Rumpel|Schneewittchen|sesame|Rapunzel/);
    const lines = log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ msg }) => msg === 'request')).toMatchObject([
      {
        tenant: 'alice',
        method: 'POST',
        route: '/v1/completions',
        status: 200,
        finished: true,
        ms: expect.any(Number) as number,
        request_id: expect.any(String) as string,
        prompt_tokens: 11,
        completion_tokens: 2,
      },
      { status: 400 },
      { status: 400 },
      { status: 404 },
    ]);
  });
});

describe('health', () => {
  it('is alive and ready', async () => {
    const { app } = await testServer();
    expect((await app.inject({ url: '/livez' })).json()).toEqual({ status: 'ok' });
    for (const url of ['/readyz', '/health']) expect((await app.inject({ url })).json()).toEqual({ status: 'ok' });
  });

  it('is ready without its store, and says so', async () => {
    const { app } = await testServer({}, { storeReady: async () => false });
    for (const url of ['/readyz', '/health']) {
      const ready = await app.inject({ url });
      expect(ready.statusCode).toBe(200);
      expect(ready.json()).toEqual({ status: 'degraded', degraded: ['store'] });
    }
    expect((await app.inject({ url: '/livez' })).json()).toEqual({ status: 'ok' });
  });

  it('is not ready while the model fails', async () => {
    const { app, engine } = await testServer();
    engine.healthy = false;
    for (const url of ['/readyz', '/health']) expect((await app.inject({ url })).statusCode).toBe(503);
    expect((await app.inject({ url: '/livez' })).statusCode).toBe(200);
  });

  it('is not ready while it drains: accepted requests finish, new ones are refused', async () => {
    const { app, engine, drain } = await testServer();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    engine.script = () => gate;
    const accepted = post(app, '/v1/completions', completion);
    while (engine.submitted.length === 0) await new Promise(setImmediate);
    let drained = false;
    const done = drain().then(() => (drained = true));

    expect((await app.inject({ url: '/readyz' })).json()).toMatchObject({ error: { code: 'server_draining' } });
    const refused = await post(app, '/v1/completions', completion);
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'server_draining' } } });
    expect(refused.headers['retry-after']).toBe('1');
    expect((await app.inject({ url: '/livez' })).statusCode).toBe(200);
    expect(drained).toBe(false);

    open();
    expect((await accepted).status).toBe(200);
    await done;
  });
});
