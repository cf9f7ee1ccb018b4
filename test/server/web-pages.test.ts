import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';

import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';

import { encodeForm, send } from '../support/http.js';
import { listen, post, sharedServer, testServer } from './harness.js';
import { adapterFiles, testLibrary } from './prefix-library.js';

const completion = { model: 'tiny', prompt: 'abc', max_tokens: 2 };
const apiKeys = [{ tenant: 'alice', key: 'key-a' }];
const stranger = 'https://evil.example';

/** Status and code of the answer to a request for a host. */
async function ask(app: FastifyInstance, host: string, url = '/livez', method: 'GET' | 'OPTIONS' = 'GET') {
  const answer = await app.inject({ method, url, headers: { host } });
  return [answer.statusCode, (answer.body && answer.json<{ error?: { code: string } }>().error?.code) ?? undefined];
}

/** The answer to bytes on a connection of their own. */
async function sendRaw(app: FastifyInstance, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1');
  socket.write(bytes);
  return readAll(socket);
}

describe('the host of a request without keys', () => {
  const server = sharedServer({ allowedOrigins: ['https://app.example'] });

  it.each([
    'localhost',
    'localhost:8000',
    'LOCALHOST:1',
    'app.localhost:8000',
    '127.0.0.1:8000',
    '127.255.0.9',
    '[::1]:8000',
    '[::1]',
  ])('may be %s', async (host) => {
    expect(await ask(server().app, host)).toEqual([200, undefined]);
  });

  it.each([
    'evil.example',
    'evil.example:8000',
    'localhost.evil.example',
    'evillocalhost',
    '127.0.0.1.evil.example',
    '127.evil.example',
    '128.0.0.1',
    '10.0.0.1',
    '[::2]',
    '[::1].evil.example',
    'localhost@evil.example',
    'evil.example#localhost',
  ])('may not be %j', async (host) => {
    const answer = await server().app.inject({ url: '/livez', headers: { host } });
    expect(answer.statusCode).toBe(403);
    expect(answer.headers['x-request-id']).toBeDefined();
    expect(answer.json()).toEqual({
      error: {
        message: expect.stringContaining('PREAMBLE_ALLOWED_HOSTS') as string,
        type: 'invalid_request_error',
        param: null,
        code: 'host_not_allowed',
      },
    });
  });

  it.each(['/livez', '/readyz', '/health', '/metrics', '/openapi.json', '/docs', '/docs/static/index.css', '/nothing'])(
    'is checked at %s',
    async (url) => {
      const { app } = server();
      expect(await ask(app, 'evil.example', url)).toEqual([403, 'host_not_allowed']);
      expect(await ask(app, 'evil.example', url, 'OPTIONS')).toEqual([403, 'host_not_allowed']);
    },
  );

  it('may be left out of HTTP/1.0, which no browser speaks', async () => {
    const { app } = await testServer();
    expect(await sendRaw(app, 'GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('may not be empty', async () => {
    const { app } = await testServer();
    expect(await sendRaw(app, 'GET /livez HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('is checked in a target that is a whole URL, too', async () => {
    const rest = 'HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
    const [own, other] = [await testServer(), await testServer()];
    expect(await sendRaw(own.app, `GET http://localhost/livez ${rest}`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await sendRaw(other.app, `GET http://evil.example/livez ${rest}`)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('may be one that PREAMBLE_ALLOWED_HOSTS names', async () => {
    const { app } = await testServer({ allowedHosts: ['preamble.example', '[fd00::1]'] });
    for (const host of ['preamble.example', 'Preamble.Example:443', '[fd00::1]:80', 'localhost'])
      expect(await ask(app, host)).toEqual([200, undefined]);
    for (const host of ['evil.preamble.example', 'preamble.example.evil.example', '[fd00::2]'])
      expect(await ask(app, host)).toEqual([403, 'host_not_allowed']);
  });

  it('may be any with keys', async () => {
    const { app } = await testServer({ apiKeys, allowedHosts: ['preamble.example'] });
    expect(await ask(app, 'evil.example', '/livez')).toEqual([200, undefined]);
    expect(await ask(app, 'evil.example', '/v1/models')).toEqual([401, 'invalid_api_key']);
  });
});

describe('a write without keys', () => {
  const server = sharedServer({ allowedOrigins: ['https://app.example'], allowedHosts: ['preamble.example'] });
  const own = { host: '127.0.0.1:8000' };

  it.each([
    { origin: stranger },
    { origin: 'null' },
    { origin: '' },
    { origin: 'http://localhost.evil.example' },
    { origin: 'http://localhost:5173', host: 'preamble.example' },
    { origin: 'ftp://localhost' },
    { origin: 'http://127.0.0.1:8000.evil.example' },
    { origin: 'https://app.example.evil.example' },
    { origin: 'https://app.example:8443' },
    { origin: stranger, 'sec-fetch-site': 'cross-site' },
    { origin: stranger, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('is refused with %j', async (headers: Record<string, string>) => {
    const { app, engine } = server();
    const answer = await post(app, '/v1/completions', completion, { ...own, ...headers });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'origin_not_allowed', param: null } } });
    expect(answer.body.error.message).toContain('PREAMBLE_ALLOWED_ORIGINS');
    expect(engine.submitted).toEqual([]);
  });

  it.each([
    {},
    { origin: 'http://127.0.0.1:8000' },
    { origin: 'http://127.0.0.1:8000', 'sec-fetch-site': 'same-origin' },
    { origin: 'http://localhost', host: 'localhost' },
    { origin: 'http://[::1]:8000', host: '[::1]:8000' },
    { origin: 'https://preamble.example', host: 'preamble.example' }, // behind a proxy that speaks HTTPS
    { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'http://127.0.0.1:5173', 'sec-fetch-site': 'same-site' },
    { origin: 'http://localhost:3000', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://app.localhost' },
    { 'sec-fetch-site': 'none' },
  ])('is served with %j', async (headers: Record<string, string>) => {
    const { app } = await testServer({ allowedHosts: ['preamble.example'], allowedOrigins: ['https://app.example'] });
    expect(await post(app, '/v1/completions', completion, { ...own, ...headers })).toMatchObject({ status: 200 });
  });

  it.each(['PUT', 'PATCH', 'DELETE', 'POST'] as const)('is one with the method %s', async (method) => {
    const answer = await server().app.inject({ method, url: '/v1/prefixes/a', headers: { origin: stranger } });
    expect(answer.json()).toMatchObject({ error: { code: 'origin_not_allowed' } });
  });

  it('is refused before its body is read, and leaves nothing behind', async () => {
    const { app } = await testServer({}, { library: await testLibrary() });
    const url = await listen(app);
    const { config, model } = adapterFiles(3);
    const parts = { adapter_config: [config, 'c.json'], adapter_model: [model, 'm.safetensors'] } as const;
    const form = await encodeForm({ name: 'headlines', ...parts });
    const call = { method: 'POST', path: '/v1/prefixes', body: form.body };
    const refused = await send(url, { ...call, headers: { ...form.headers, origin: stranger } });
    expect(refused.status).toBe(403);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`POST /v1/prefixes HTTP/1.1\r\nhost: localhost\r\norigin: ${stranger}\r\ncontent-length: 9\r\n\r\n`);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 403 /);
    expect((await app.inject({ url: '/v1/prefixes' })).json()).toMatchObject({ data: [] });
    expect((await send(url, { ...call, headers: form.headers })).status).toBe(201);
  });

  it('is no read: the browser itself keeps its answer from the page', async () => {
    const { app } = server();
    const headers = { origin: stranger, 'sec-fetch-site': 'cross-site' };
    const answer = await app.inject({ url: '/livez', headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('needs only a key where there are keys', async () => {
    const { app } = await testServer({ apiKeys });
    const headers = { origin: stranger, 'sec-fetch-site': 'cross-site' };
    expect(await post(app, '/v1/completions', completion, headers)).toMatchObject({ status: 401 });
    const authorization = 'Bearer key-a';
    const answer = await post(app, '/v1/completions', completion, { ...headers, authorization });
    expect(answer.status).toBe(200);
  });
});
