import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { eventsOf } from '../server/harness.js';
import { preamble } from './preamble.js';
import { addressOf, exitStatus, startProgram, type Running } from '../support/program.js';

const model = join(packageRoot, 'test/goldens/models/tiny-a');
const patience = { timeout: 20_000, interval: 10 };
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const start = (settings: Record<string, string> = {}): Promise<Running> =>
  startProgram({ PREAMBLE_MODEL: model, ...settings });

const stream = async (url: string, n: number): Promise<Response> =>
  fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny-a', prompt: [1], n, max_tokens: 100, ignore_eos: true, stream: true }),
  });

describe('the program', () => {
  it.skipIf(!hasCurl)('prints a curl that works as printed', async () => {
    const running = await start();
    await addressOf(running);
    const { out } = running.output;
    expect(out).toMatch(/model {2}tiny-a\n {2}slots {2}2 slots .*\n {2}store {2}file:\/.*prefixes\n/);
    const answer = execFileSync('sh', ['-c', /curl .*/.exec(out)?.[0] ?? ''], { encoding: 'utf8' });
    expect(JSON.parse(answer)).toMatchObject({ object: 'text_completion', model: 'tiny-a' });
  });

  it.skipIf(!existsSync('/dev/full'))('outlives a full disk for its log', async () => {
    const full = openSync('/dev/full', 'w');
    onTestFinished(() => closeSync(full));
    const running = await startProgram({ PREAMBLE_MODEL: model }, full);
    const url = await addressOf(running);
    for (let i = 0; i < 3; i++) expect((await fetch(`${url}/v1/models`)).status).toBe(200);
  });

  it('says itself degraded while the directory of its store is away', async () => {
    const running = await start();
    const url = await addressOf(running);
    const ready = async (): Promise<unknown> => (await fetch(`${url}/readyz`)).json();
    const [store, away] = [join(running.directory, 'prefixes'), join(running.directory, 'away')];
    expect(await ready()).toEqual({ status: 'ok' });
    renameSync(store, away);
    expect(await ready()).toEqual({ status: 'degraded', degraded: ['store'] });
    expect((await fetch(`${url}/v1/prefixes`)).status).toBe(503);
    renameSync(away, store);
    expect((await fetch(`${url}/v1/prefixes`)).status).toBe(200);
    await vi.waitFor(async () => expect(await ready()).toEqual({ status: 'ok' }), { timeout: 30_000, interval: 100 });
    const told = running.output.err.split('\n').filter((line) => line.includes('the store '));
    expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([
      { msg: 'the store fails', reason: 'unavailable', cause: 'lock lost' },
      { msg: 'the store works again' },
    ]);
  });

  it('says and serves the precision that was asked for', async () => {
    const running = await start({ PREAMBLE_WEIGHTS: 'int8', PREAMBLE_KV: 'float16' });
    const url = await addressOf(running);
    expect(running.output.out).toContain('model  tiny-a (int8 weights, float16 keys and values)\n');
    const events = eventsOf(await (await stream(url, 1)).text());
    expect(events.filter((event) => (event['choices'] as unknown[]).length > 0).length).toBeGreaterThan(1);
  });

  it('finishes what it accepted on SIGTERM, and accepts nothing more', async () => {
    const running = await start();
    const url = await addressOf(running);
    const accepted = await stream(url, 12);
    running.process.kill('SIGTERM');
    await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503), {
      timeout: 5000,
      interval: 10,
    });
    expect((await stream(url, 1)).status).toBe(503);
    const events = eventsOf(await accepted.text());
    const reasons = events.map((event) => (event['choices'] as { finish_reason: string | null }[])[0]?.finish_reason);
    expect(reasons.filter(Boolean)).toEqual(Array(12).fill('length'));
    expect(await exitStatus(running)).toBe(0);
  });

  it('is not ready at SIGTERM, and accepts requests while it is a lame duck', async () => {
    const running = await start({ PREAMBLE_LAME_DUCK_SECONDS: '5' });
    const url = await addressOf(running);
    running.process.kill('SIGTERM');
    await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503), {
      interval: 10,
      timeout: 30_000,
    });
    const accepted = await stream(url, 1);
    expect(accepted.status).toBe(200);
    expect(accepted.headers.get('connection')).toBe('close');
    expect(await accepted.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await exitStatus(running)).toBe(0);
  });

  it('refuses connections after it was a lame duck, and finishes what it accepted', async () => {
    const running = await start({ PREAMBLE_LAME_DUCK_SECONDS: '1' });
    const url = await addressOf(running);
    const accepted = await stream(url, 100);
    running.process.kill('SIGTERM');
    const cause = { code: 'ECONNREFUSED' };
    await expect.poll(() => fetch(`${url}/readyz`).catch((error: Error) => error), patience).toMatchObject({ cause });
    const events = eventsOf(await accepted.text());
    const reasons = events.map((event) => (event['choices'] as { finish_reason: string | null }[])[0]?.finish_reason);
    expect(reasons.filter(Boolean)).toEqual(Array(100).fill('length'));
    expect(await exitStatus(running)).toBe(0);
  });

  it('cuts off what takes longer than it may', async () => {
    const running = await start({ PREAMBLE_DRAIN_SECONDS: '0' });
    const accepted = await stream(await addressOf(running), 100);
    running.process.kill('SIGTERM');
    await expect(accepted.text()).rejects.toThrow();
    expect(await exitStatus(running)).toBe(0);
  });

  it('has a directory of its own until it ends, however it ends', async () => {
    const first = await start();
    await addressOf(first);
    const store = { PREAMBLE_STORE: `file:${first.directory}/prefixes` };
    const second = await start(store);
    expect(await exitStatus(second)).toBe(2);
    const holder = `process ${first.process.pid} on ${hostname()}`;
    expect(second.output.err).toContain(`PREAMBLE_STORE: ${first.directory}/prefixes is used by ${holder};`);
    expect(await preamble('store', 'list', store.PREAMBLE_STORE)).toMatchObject({ status: 0 });

    first.process.kill('SIGKILL');
    await once(first.process, 'exit');
    await addressOf(await start(store));
  });

  it('starts without bundled prefixes that are longer than a prefix may be, says so, and gives them later', async () => {
    const settings = { PREAMBLE_MODEL: '', PREAMBLE_SEED_PREFIXES: 'on' };
    const short = await start({ ...settings, PREAMBLE_MAX_VIRTUAL_TOKENS: '4' });
    const ids = async (running: Running): Promise<string[]> => {
      const { data } = (await (await fetch(`${await addressOf(running)}/v1/models`)).json()) as {
        data: { id: string }[];
      };
      return data.map(({ id }) => id);
    };
    expect(await ids(short)).toEqual(['preamble-demo']);
    expect(short.output.err).toMatch(/16 virtual tokens.*bundled prefixes are left out until a later start/);
    short.process.kill('SIGTERM');
    expect(await exitStatus(short)).toBe(0);
    expect(await ids(await start({ ...settings, PREAMBLE_STORE: `file:${short.directory}/prefixes` }))).toContain(
      'headlines',
    );
  });

  it.each([
    [{ PORT: 'x' }, 2, /^preamble: PORT: /m],
    [{ PREAMBLE_SLOT: '1' }, 2, /^preamble: PREAMBLE_SLOT: /m],
    [{ HOST: '0.0.0.0' }, 2, /^preamble: HOST: /m],
    [{ PREAMBLE_WEIGHTS: 'float16' }, 2, /^preamble: PREAMBLE_WEIGHTS: 'float16' is for cuda and webgpu/m],
    [{ PREAMBLE_MODEL: '/nowhere' }, 2, /^preamble: PREAMBLE_MODEL: .*\/nowhere/m],
    [{ PREAMBLE_MODEL: packageRoot }, 2, /^preamble: PREAMBLE_MODEL: .*is missing/m],
    [{ PREAMBLE_CACHE: join(packageRoot, 'package.json') }, 2, /^preamble: PREAMBLE_CACHE: .*package.json/m],
    [{ PREAMBLE_STORE: `file:${join(packageRoot, 'package.json')}` }, 2, /^preamble: PREAMBLE_STORE: .*package.json/m],
    [{ PREAMBLE_MAX_VIRTUAL_TOKENS: '1000' }, 2, /^preamble: PREAMBLE_MAX_VIRTUAL_TOKENS: 1000 is more than the \d+ /m],
    [{ HOST: '127.0.0.300' }, 2, /^preamble: HOST: .*127.0.0.300/m],
  ])('does not start with %j', async (settings, status, message) => {
    const running = await start(settings);
    expect(await exitStatus(running)).toBe(status);
    expect(running.output.err).toMatch(message);
    expect(running.output.out).toBe('');
  });

  it('does not start on a port that is in use', async () => {
    const { port } = new URL(await addressOf(await start()));
    const running = await start({ PORT: port });
    expect(await exitStatus(running)).toBe(2);
    expect(running.output.err).toMatch(/^preamble: PORT: .*EADDRINUSE/m);
  });
});
