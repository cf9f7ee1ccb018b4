import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import os from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import type { Measured } from '../../src/cli/doctor/measure/measure.js';
import type { Problem, Section } from '../../src/cli/doctor/report.js';
import { physicalCores } from '../../src/config/cores.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { randomBart } from '../support/random-bart.js';
import { RedisServer } from '../support/redis-server.js';
import { preamble } from './preamble.js';

const model = join(packageRoot, 'test/goldens/models/tiny-a');
let directory: string;

beforeEach(async () => {
  directory = await temporaryDirectory();
  set({ PREAMBLE_MODEL: model, PREAMBLE_CACHE: join(directory, 'cache'), PORT: '0' });
  set({ PREAMBLE_STORE: `file:${join(directory, 'store')}` });
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function set(settings: Record<string, string>): void {
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
}

interface Examined {
  readonly status: number;
  readonly report: Record<string, Section['facts']>;
  readonly problems: Problem[];
  readonly out: string;
}

async function doctor(): Promise<Examined> {
  const { status, out } = await preamble('doctor', '--json');
  const { problems, ...report } = JSON.parse(out);
  return { status, report, problems, out };
}

describe('preamble doctor', () => {
  it('says what the machine offers and what was chosen', async () => {
    const { status, report, problems } = await doctor();
    expect(status).toBe(0);
    expect(problems).toEqual([]);
    expect(report['machine']).toMatchObject({
      node: { value: process.version },
      logical_cores: { value: os.cpus().length },
      memory_bytes: { value: os.totalmem() },
    });
    expect(report['library']).toMatchObject({ onnxruntime: { value: expect.stringMatching(/^\d+\.\d+\.\d+$/) } });
    expect(report['library']?.['providers']?.value).toMatch(/\bCPU\b/);
    expect(report['library']?.['cpu_works']?.value).toBe(true);
    expect(report['chosen']).toMatchObject({
      provider: { value: 'cpu', why: 'the default' },
      threads: { value: physicalCores(), why: expect.stringMatching(/core|quota|affinity/) },
      slots: { value: 32, why: 'the default' },
    });
    expect(report['settings']?.['PREAMBLE_SLOTS']).toEqual({ value: 32 });
    expect(report['settings']?.['PREAMBLE_MODEL']).toEqual({ value: model, why: 'set' });
  });

  it('shows who may use the server from a browser', async () => {
    set({ PREAMBLE_ALLOWED_HOSTS: 'Preamble.Example,[fd00::1]', PREAMBLE_ALLOWED_ORIGINS: '' });
    const { report } = await doctor();
    expect(report['settings']).toMatchObject({
      PREAMBLE_ALLOWED_HOSTS: { value: 'preamble.example,[fd00::1]', why: 'set' },
      PREAMBLE_ALLOWED_ORIGINS: { value: null },
    });
  });

  it('counts the memory of the slots, and changes nothing', async () => {
    set({ PREAMBLE_SLOTS: '3' });
    const { report } = await doctor();
    const { n_layer, n_embd, n_positions } = JSON.parse(await readFile(join(model, 'config.json'), 'utf8'));
    const slot = 2 * 4 * n_layer * n_embd * n_positions;
    expect(report['chosen']?.['kv_memory_bytes']?.value).toBe(3 * slot);
    expect(report['chosen']?.['slots']).toEqual({ value: 3, why: 'PREAMBLE_SLOTS' });
    expect(report['model']?.['compiled']?.value).toBe(false);
    expect(existsSync(join(directory, 'cache'))).toBe(false);
    expect(existsSync(join(directory, 'store'))).toBe(false);
  });

  it('describes a model with an encoder, and counts its source slots', async () => {
    const { directory: bart } = randomBart();
    set({ PREAMBLE_MODEL: bart, PREAMBLE_SLOTS: '3' });
    const { report, problems } = await doctor();
    expect(problems).toEqual([]);
    expect(report['model']).toMatchObject({
      source: { value: 'random-bart', why: bart },
      longest_source: { value: 64 },
      shape: { value: expect.stringContaining('encoder 3 layers of 3 heads') },
    });
    expect(report['chosen']?.['kv_memory_bytes']?.value).toBe(3 * (2 * 64 * 2 * 2 * 48 * 4));
  });

  it('knows a compiled model', async () => {
    expect((await preamble('import-model', model)).status).toBe(0);
    const { report } = await doctor();
    expect(report['model']?.['compiled']).toMatchObject({ value: true, why: expect.stringContaining(directory) });
  });

  it('prints tables for people', async () => {
    const { status, out } = await preamble('doctor');
    expect(status).toBe(0);
    for (const title of ['MACHINE', 'LIBRARY', 'MODEL', 'CHOSEN', 'STORE', 'ADDRESS', 'SETTINGS']) {
      expect(out).toMatch(new RegExp(`^${title}$`, 'm'));
    }
    expect(out).toMatch(/^kv memory +\d/m);
    expect(out).toMatch(/\n\nNo problems\.\n$/);
  });

  it('never shows a secret', async () => {
    const password = 'hunter2hunter2';
    set({ PREAMBLE_STORE: `redis://user:${password}@127.0.0.1:9/0`, PREAMBLE_API_KEYS: 'a=s3cret-a,b=s3cret-b' });
    set({ PREAMBLE_ADMIN_KEY: 's3cret-admin-s3cret' });
    const { out, report } = await doctor();
    const { out: text } = await preamble('doctor');
    expect(out + text).not.toMatch(/hunter2|s3cret/);
    expect(report['settings']).toMatchObject({
      PREAMBLE_API_KEYS: { value: 'keys of 2 tenants' },
      PREAMBLE_ADMIN_KEY: { value: '(hidden)' },
      PREAMBLE_STORE: { value: 'redis://127.0.0.1:9/0' },
    });
  });
});

describe('what keeps the server from starting is 1, with what to do about it', () => {
  it.each([
    ['a bad setting', { PREAMBLE_SLOTS: '0' }, /^PREAMBLE_SLOTS: /],
    ['an unknown setting', { PREAMBLE_SLOT: '1' }, /^PREAMBLE_SLOT: /],
    ['an open listener without keys', { HOST: '0.0.0.0' }, /^HOST: /],
    ['a model that is not there', { PREAMBLE_MODEL: '/nowhere' }, /\/nowhere/],
    [
      'a Redis that is not there',
      { PREAMBLE_STORE: 'redis://127.0.0.1:9' },
      /^PREAMBLE_STORE: .*:9 refuses the connection/,
    ],
  ])('%s', async (_, settings, problem) => {
    set(settings);
    const { status, problems } = await doctor();
    expect(status).toBe(1);
    expect(problems).toEqual([
      { problem: expect.stringMatching(problem), fix: expect.stringMatching(/\w/), fatal: true },
    ]);
  });

  it.each(['STORE', 'CACHE'])('a %s that cannot be written to', async (variable) => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    set({ [`PREAMBLE_${variable}`]: `${variable === 'STORE' ? 'file:' : ''}${file}/below` });
    const { status, problems } = await doctor();
    expect(status).toBe(1);
    expect(problems).toMatchObject([{ problem: expect.stringContaining('cannot be written to'), fatal: true }]);
    expect(problems[0]?.fix).toContain(`PREAMBLE_${variable}`);
  });

  it.each(['cuda', 'webgpu'])('the provider %s where it does not work', async (provider) => {
    set({ PREAMBLE_PROVIDER: provider });
    const { status, report, problems } = await doctor();
    const works = report['library']?.[`${provider}_works`];
    expect(problems.map(({ fatal }) => fatal)).toEqual(works?.value === true ? [] : [true]);
    expect(status).toBe(problems.length);
    if (works?.why !== undefined && works.value !== true) expect(problems[0]?.problem).toContain(works.why);
  });

  it('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    set({ PORT: String((other.address() as AddressInfo).port) });
    const { status, report, problems } = await doctor();
    expect(status).toBe(1);
    expect(report['address']?.['free']?.value).toBe(false);
    expect(problems).toMatchObject([{ problem: expect.stringContaining('listens there already'), fatal: true }]);
    expect((await preamble('doctor')).out).toMatch(/^ERROR {2}cannot listen/m);
  });
});

describe('what is unwise is 0, with a warning', () => {
  it('more threads than CPUs', async () => {
    set({ PREAMBLE_THREADS: '1024' });
    const { status, problems } = await doctor();
    expect(status).toBe(0);
    expect(problems).toMatchObject([{ problem: expect.stringContaining('PREAMBLE_THREADS is 1024'), fatal: false }]);
  });

  it('caches larger than the memory', async () => {
    set({ PREAMBLE_PREFIX_CACHE_BYTES: String(2 ** 50) });
    const { status, problems } = await doctor();
    expect(status).toBe(0);
    expect(problems).toMatchObject([
      { problem: expect.stringMatching(/needs about 1020 TiB|needs about 1024 TiB/), fatal: false },
    ]);
  });

  it('a Redis that forgets', async () => {
    const server = await redis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru']);
    set({ PREAMBLE_STORE: server.url });
    const { status, report, problems } = await doctor();
    expect(status).toBe(0);
    expect(report['store']).toMatchObject({ answers: { value: true }, appendonly: { value: false } });
    expect(problems.map(({ fix, fatal }) => [fix, fatal])).toEqual([
      [expect.stringContaining('appendonly yes'), false],
      [expect.stringContaining('noeviction'), false],
    ]);
  });

  it.each([
    ['that is a replica', ['--replicaof', '127.0.0.1 9'], /READONLY/, /primary/],
    ['that is full', ['--maxmemory', '1'], /OOM/, /maxmemory/],
  ])('a Redis %s, by its own word', async (_, flags, word, fix) => {
    const server = await redis(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction', ...flags]);
    set({ PREAMBLE_STORE: server.url });
    const { status, problems } = await doctor();
    expect(problems).toEqual([{ problem: expect.stringMatching(word), fix: expect.stringMatching(fix), fatal: true }]);
    expect(status).toBe(1);
  });

  it('and a Redis as README says is fine', async () => {
    const server = await redis(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']);
    set({ PREAMBLE_STORE: server.url });
    const { status, report, problems } = await doctor();
    expect([status, problems]).toEqual([0, []]);
    expect(report['store']).toMatchObject({
      place: { value: server.url },
      appendonly: { value: true },
      maxmemory_policy: { value: 'noeviction' },
    });
  });
});

it('doctor --measure times the model and says which settings are fastest', async () => {
  set({ PREAMBLE_SLOTS: '4', PREAMBLE_THREADS: '1' });
  const { status, out, err } = await preamble('doctor', '--measure', '--json');
  expect(status).toBe(0);
  const { steps, chunks, fastest } = (JSON.parse(out) as { measured: Measured }).measured;
  expect(new Set(steps.map(({ rows }) => rows))).toEqual(new Set([1, 4]));
  for (const { milliseconds } of [...steps, ...chunks]) expect(milliseconds).toBeGreaterThan(0);
  const values = new Map<string, unknown>(fastest.map(({ variable, value }) => [variable, value]));
  expect(steps.map(({ threads }) => threads)).toContain(values.get('PREAMBLE_THREADS'));
  expect(chunks.map((chunk) => chunk.chunk_tokens)).toContain(values.get('PREAMBLE_MAX_CHUNK_TOKENS'));
  expect(err).toContain('timing steps with threads: 1');
}, 120_000);

async function redis(flags: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(flags);
  onTestFinished(() => server.stop());
  return server;
}
