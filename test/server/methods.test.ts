import { describe, expect, it } from 'vitest';

import { post, testServer, type TestServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

/** A server with every route. */
async function everyRoute(overrides: Parameters<typeof testServer>[0] = {}): Promise<TestServer> {
  const routes = { files: {} as never, fineTuning: {} as never };
  return testServer({ adminKey: 'root', ...overrides }, { library: await testLibrary(), ...routes });
}

const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'] as const;

describe('a method that a path has no route for', () => {
  it('is 405 on every path of the document, and Allow names the others', async () => {
    const { app } = await everyRoute();
    const { paths } = (await app.inject('/openapi.json')).json<{ paths: Record<string, object> }>();
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/completions', '/v1/prefixes/{name}', '/livez']));
    for (const [path, operations] of Object.entries(paths)) {
      const documented = Object.keys(operations).map((method) => method.toUpperCase());
      const head = documented.includes('GET') ? ['HEAD'] : [];
      const allow = [...documented, ...head, 'OPTIONS'].sort();
      for (const method of METHODS.filter((one) => !allow.includes(one))) {
        const answer = await app.inject({ method, url: path.replaceAll(/\{\w+\}/g, 'x%2Fy'), payload: '{', headers });
        expect([path, method, answer.statusCode, answer.headers.allow]).toEqual([path, method, 405, allow.join(', ')]);
      }
    }
  });

  const headers = { 'content-type': 'text/csv' };

  it('is named, whatever the body is', async () => {
    const { app } = await everyRoute();
    const { body, status } = await post(app, '/v1/models', '{');
    expect(status).toBe(405);
    expect(body.error).toEqual({
      message: 'This route takes GET, HEAD, OPTIONS, not POST.',
      type: 'invalid_request_error',
      param: null,
      code: 'method_not_allowed',
    });
  });

  it.each([
    ['/v1/%63ompletions', 405],
    ['/v1/completions?x=/v1/models', 405],
    ['http://127.0.0.1/v1/completions', 405],
    ['/v1/completions/', 404],
    ['/v1/completions/x', 404],
    ['/v1/prefixes/a/b', 404],
    ['/V1/completions', 404],
    ['/v1/files%2Fx', 404],
    ['/nothing', 404],
    ['/nothing?x=%zz', 404],
    ['/nothing/%zz', 400],
    ['/v1/completions/%C3%28', 400],
  ])('%s is %i', async (url, status) => {
    const { app } = await everyRoute();
    expect((await app.inject({ method: 'PUT', url, payload: '{', headers })).statusCode).toBe(status);
  });
});

describe('OPTIONS', () => {
  it.each([
    ['/v1/completions', 'OPTIONS, POST'],
    ['/v1/prefixes/a%2Fb', 'DELETE, GET, HEAD, OPTIONS'],
    ['/metrics', 'GET, HEAD, OPTIONS'],
    ['/docs/static/x.js', 'GET, HEAD, OPTIONS'],
  ])('of %s says what it takes', async (url, allow) => {
    const { app } = await everyRoute();
    const answer = await app.inject({ method: 'OPTIONS', url });
    expect([answer.statusCode, answer.headers.allow, answer.body]).toEqual([204, allow, '']);
  });

  it('of no route is 404', async () => {
    const { app } = await everyRoute();
    expect((await app.inject({ method: 'OPTIONS', url: '/nothing' })).statusCode).toBe(404);
  });

  it('is the answer to a browser where pages of other origins are let in', async () => {
    const { app } = await everyRoute({ allowedOrigins: ['https://page.example'] });
    const headers = { origin: 'https://page.example', 'access-control-request-method': 'POST' };
    const answer = await app.inject({ method: 'OPTIONS', url: '/v1/completions', headers });
    expect(answer.statusCode).toBe(204);
    expect(answer.headers['access-control-allow-origin']).toBe('https://page.example');
    expect((await app.inject({ method: 'PUT', url: '/v1/completions', headers })).headers.allow).toBe('OPTIONS, POST');
  });
});

describe('a body of another type', () => {
  it.each([
    ['POST', '/v1/completions', /must be application\/json:/],
    ['POST', '/v1/prefixes', /must be application\/json or multipart\/form-data:/],
    ['POST', '/v1/files', /must be multipart\/form-data:/],
    ['DELETE', '/v1/prefixes/x', /takes no body/],
  ] as const)('of %s %s is refused by the type that is wanted', async (method, url, message) => {
    const { app } = await everyRoute({ adminKey: undefined });
    const answer = await app.inject({ method, url, payload: 'x', headers: { 'content-type': 'text/csv' } });
    expect(answer.statusCode).toBe(415);
    expect(answer.json<{ error: object }>().error).toMatchObject({
      code: 'unsupported_media_type',
      message: expect.stringMatching(message) as string,
    });
  });
});
