import type { FastifyInstance } from 'fastify';
import { expect, inject, it } from 'vitest';

import { consoleDirectory } from '../../src/config/paths.js';
import { listen, testServer } from '../server/harness.js';
import { testLibrary } from '../server/prefix-library.js';
import { startHaproxy } from '../support/haproxy.js';
import { type Answer, send } from '../support/http.js';

/** What of the server HAProxy keeps to itself, on purpose. */
const BLOCKED = ['/metrics'];
const skip = inject('haproxy') === null;

it.skipIf(skip)('passes every route that the server has, but for those blocked on purpose', async () => {
  const { app, url } = await proxied();
  const routes = routesOf(app);
  expect(routes).toEqual(
    expect.arrayContaining(['/metrics', '/openapi.json', '/docs/*', '/console/', '/v1/admin/keys/:id']),
  );
  const stopped: string[] = [];
  for (const route of routes) {
    if (!isServers(await send(url, { path: route.replace(/\*|:\w+/g, 'x') }))) stopped.push(route);
  }
  expect(stopped).toEqual(BLOCKED);
});

it.skipIf(skip)('blocks a path however it is spelled', async () => {
  const { url, direct } = await proxied();
  expect(isMetrics(await send(direct, { path: '/metrics' }))).toBe(true);
  const encoded = Array.from('metrics', (letter) => `%${Buffer.from(letter).toString('hex')}`);
  const oneEncoded = encoded.map((code, i) => `/${'metrics'.slice(0, i)}${code}${'metrics'.slice(i + 1)}`);
  const others = ['//metrics', '/metrics/', '/metrics?x=1', '/metrics;x', '/metrics%3Fx', '/METRICS', '/./metrics', '/%2Fmetrics', '/metrics%2F', '/metrics%00', '/%256Detrics', '/%zz', '*']; // prettier-ignore
  const absolute = ['/metrics', '/%6Detrics', '//metrics'].map((path) => `${url}${path}`);
  for (const path of [`/${encoded.join('')}`, ...oneEncoded, ...others, ...absolute]) {
    const answer = await send(url, { path });
    expect(isServers(answer), path).toBe(false);
    expect(answer.status, path).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'route_not_found', param: null } });
  }
});

it.skipIf(skip)('passes no dots to another route', async () => {
  const { url } = await proxied();
  const routes = (up: string): string[] => [`/v1/${up}/metrics`, `/console/${up}/metrics`, `/docs/${up}/metrics`, `/docs/static/${up}/${up}/metrics`]; // prettier-ignore
  for (const path of ['..', '%2e%2e', '..%2F', '%2E%2E%2F'].flatMap(routes)) {
    const answer = await send(url, { path });
    expect([400, 404], path).toContain(answer.status);
    expect(isMetrics(answer), path).toBe(false);
  }
});

it.skipIf(skip)('passes names with slashes as they were written', async () => {
  const { url } = await proxied();
  const headers = { authorization: 'Bearer sesame' };
  const body = { name: 'users/alice', text: 'You are polite.' };
  expect((await send(url, { method: 'POST', path: '/v1/prefixes', headers, body })).status).toBe(201);
  for (const path of ['/v1/prefixes/users%2Falice', '/v1/prefixes/users%2falice', '/%761/prefixes/user%73%2Falice']) {
    const answer = await send(url, { path, headers });
    expect(JSON.parse(answer.text), path).toMatchObject({ name: 'users/alice' });
  }
});

/** A server with every route, by itself and behind HAProxy. */
async function proxied(): Promise<{ app: FastifyInstance; direct: string; url: string }> {
  const routes = { files: {} as never, fineTuning: {} as never, consoleDirectory };
  const keys = { adminKey: 'root', apiKeys: [{ tenant: 'alice', key: 'sesame' }] };
  const { app } = await testServer(keys, { library: await testLibrary(), ...routes });
  const direct = await listen(app);
  const address = new URL(direct).host;
  return { app, direct, url: (await startHaproxy([address, address])).url };
}

/** Paths of a server's routes, hidden ones too. */
function routesOf(app: FastifyInstance): string[] {
  const path: string[] = [];
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods] = /^([│ ]*)[├└]── (\S+)( \(.+\))?$/.exec(line) ?? [];
      path.splice(indent.length / 4, Infinity, part);
      return methods === undefined ? [] : path.join('');
    });
}

/** Every answer of the server has an id, and none of HAProxy's. */
function isServers({ headers }: Answer): boolean {
  return headers['x-request-id'] !== undefined;
}

function isMetrics({ text }: Answer): boolean {
  return text.includes('# TYPE preamble_');
}
