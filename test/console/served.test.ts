import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { expect, it } from 'vitest';

import { consoleDirectory } from '../../src/config/paths.js';
import { testServer } from '../server/harness.js';

/** Most bytes of a first load, compressed. */
const MAX_FIRST_LOAD = 120 * 1024;

/** Files that a page's scripts import without being asked, from the one given on. */
async function loadedWith(name: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(name)) return seen;
  seen.add(name);
  const text = await readFile(path.join(consoleDirectory, name), 'utf8');
  const names = [...text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)].flatMap((match) => match[1] ?? []);
  for (const one of names) await loadedWith(one, seen);
  return seen;
}

it('loads at most 120 KB at first, the playground included', async () => {
  const page = await readFile(path.join(consoleDirectory, 'index.html'), 'utf8');
  const named = [...page.matchAll(/(?:href|src)="([^"]+)"/g)].flatMap((match) => match[1] ?? []);
  const main = named.find((name) => name.endsWith('.js')) ?? '';
  const scripts = await loadedWith(main);
  const text = await readFile(path.join(consoleDirectory, main), 'utf8');
  const [playground = ''] = [...text.matchAll(/import\("\.\/([^"]+)"\)/g)].flatMap((match) => match[1] ?? []);
  await loadedWith(playground, scripts);
  expect(scripts.size).toBeGreaterThan(2);
  const files = new Set(['index.html', ...named, ...scripts]);
  const sizes = await Promise.all([...files].map(async (name) => (await stat(path.join(consoleDirectory, `${name}.gz`))).size)); // prettier-ignore
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(MAX_FIRST_LOAD);
});

it('names no other server in any of its files', async () => {
  for (const name of await readdir(consoleDirectory)) {
    if (!/[.](js|css|html)$/.test(name)) continue;
    const text = await readFile(path.join(consoleDirectory, name), 'utf8');
    const addresses = [...text.matchAll(/https?:\/\/[\w.]+/g)].map(([address]) => address);
    expect(
      addresses.filter((address) => !address.includes('www.w3.org')),
      name,
    ).toEqual([]);
  }
});

it('is served with a policy that lets nothing inline and nothing foreign run', async () => {
  const { app } = await testServer({}, { consoleDirectory });
  expect((await app.inject({ url: '/' })).headers).toMatchObject({ location: 'console/' });
  expect((await app.inject({ url: '/console' })).headers).toMatchObject({ location: 'console/' });
  const page = await app.inject({ url: '/console/', headers: { 'accept-encoding': 'br' } });
  expect(page.statusCode).toBe(200);
  expect(page.headers).toMatchObject({ 'content-encoding': 'br', 'cache-control': 'no-cache' });
  const policy = String(page.headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|data:|\*/);
  const script = (await readdir(consoleDirectory)).find((name) => name.endsWith('.js')) ?? '';
  const sent = await app.inject({ url: `/console/${script}` });
  expect(sent.headers['cache-control']).toContain('immutable');
  expect(sent.headers['content-security-policy']).toBe(policy);
});

it.each(['/console/../package.json', '/console/%2e%2e/main.js', '/console/nothing.js', '/console/..%2fmain.js'])(
  'sends nothing else: %s',
  async (url) => {
    const { app } = await testServer({}, { consoleDirectory });
    const answer = await app.inject({ url });
    expect(answer.statusCode).toBeGreaterThanOrEqual(400);
    expect(answer.json()).toHaveProperty('error.code');
  },
);

it('is not there where it is off', async () => {
  const { app } = await testServer();
  for (const url of ['/', '/console', '/console/'])
    expect((await app.inject({ url })).json()).toMatchObject({ error: { code: 'route_not_found' } });
});

it('is closed to a host that is not this machine, without keys', async () => {
  const { app } = await testServer({}, { consoleDirectory });
  const answer = await app.inject({ url: '/console/', headers: { host: 'evil.example' } });
  expect(answer.json()).toMatchObject({ error: { code: 'host_not_allowed' } });
});
