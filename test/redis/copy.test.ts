import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { PrefixLibrary } from '../../src/prefix/library.js';
import { adapterId, tenantKey } from '../../src/prefix/name.js';
import type { PrefixStore } from '../../src/prefix/store.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { type Outcome, preamble } from '../cli/preamble.js';
import { base, FakeEncoder, prefixFiles, softPromptFiles } from '../prefix/fixtures.js';
import { RedisServer } from '../support/redis-server.js';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-copy-'));
const program = path.join(packageRoot, 'dist/cli/main.js');
const other = { ...base, fingerprint: 'f'.repeat(64) };
let server: RedisServer;
let redis: RedisConnection;
let directory: string;

beforeAll(async () => {
  server = await RedisServer.start();
  redis = await RedisConnection.open({ url: server.url });
});
afterAll(async () => {
  redis.close();
  await server.stop();
  fs.rmSync(temporary, { recursive: true });
});
beforeEach(async () => {
  await redis.client.flushdb();
  directory = fs.mkdtempSync(path.join(temporary, 'store-'));
});

/** Three tenants, two base models, all kinds, several versions, an alias that is not the newest. */
async function fill(open: (fingerprint: string) => Promise<PrefixStore> | PrefixStore): Promise<void> {
  for (const model of [base, other]) {
    let now = 1_600_000_000_000;
    const store = await open(model.fingerprint);
    const library = new PrefixLibrary({
      store,
      base: model,
      encoder: new FakeEncoder(),
      cacheBytes: 0,
      now: () => (now += 1000),
    });
    for (const tenant of ['t', 'T', 'other']) {
      for (const start of [1, 2, 3, 1]) await library.upload(tenant, { name: 'users/alice', ...prefixFiles(3, start) });
      await library.upload(tenant, { name: 'Users/Alice', ...softPromptFiles() });
      await library.uploadText(tenant, { name: 'polite', text: 'Dear Sir', tokens: [7, 8] });
    }
  }
}

/** Everything that a store has, in one value. */
async function contents(
  open: (fingerprint: string) => Promise<DiskPrefixStore> | RedisPrefixStore,
): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const { fingerprint } of [base, other]) {
    const store = await open(fingerprint);
    for (const tenant of ['t', 'T', 'other']) {
      for (const { name } of (await store.list(tenant)).data) {
        const details = await store.get(tenant, name);
        all.push(details);
        expect(await store.nameOf(tenant, adapterId(tenant, name))).toBe(name);
        for (const { version } of details?.versions ?? []) {
          all.push(await store.readText(tenant, name, version));
          for (const file of ['adapter_config.json', 'adapter_model.safetensors', 'kv.safetensors'] as const) {
            all.push(Buffer.from((await store.read(tenant, name, version, file)) ?? []).toString('base64'));
          }
        }
      }
    }
  }
  return all;
}

const onDisk = (fingerprint: string): Promise<DiskPrefixStore> => DiskPrefixStore.open(directory, fingerprint);
const onRedis = (fingerprint: string): RedisPrefixStore => new RedisPrefixStore(redis, fingerprint);
const copy = (from: string, to: string): Promise<Outcome> => preamble('store', 'copy', from, to, '--json');

/** The directory of a version that has the file, of a name's key without its hash. */
function versionOf(key: string, file = 'prefix.json', tenant = 't'): string {
  const ofModel = path.join(directory, base.fingerprint.slice(0, 16));
  const owner = path.join(ofModel, tenantKey(tenant));
  const names = fs.readdirSync(owner).filter((entry) => entry.startsWith(`${key}~`));
  const versions = names.flatMap((name) =>
    fs.readdirSync(path.join(owner, name)).map((entry) => path.join(owner, name, entry)),
  );
  return versions.find((version) => fs.existsSync(path.join(version, file)))!;
}

describe('preamble store copy', () => {
  it('copies everything to Redis and back, and skips what is there', async () => {
    await fill(onDisk);
    const expected = await contents(onDisk);
    expect(expected.length).toBeGreaterThan(100);
    const first = await copy(`file:${directory}`, server.url);
    expect(first.err).toMatch(/^(\d+ names: \d+ versions copied, \d+ there already\n)*$/); // progress, where it takes a second
    expect(JSON.parse(first.out)).toEqual({ names: 18, copied: 30, skipped: 0, failed: 0 });
    expect(await contents(onRedis)).toEqual(expected);
    expect(JSON.parse((await copy(`file:${directory}`, server.url)).out)).toEqual({
      names: 18,
      copied: 0,
      skipped: 30,
      failed: 0,
    });
    directory = fs.mkdtempSync(path.join(temporary, 'back-'));
    expect(JSON.parse((await copy(server.url, `file:${directory}`)).out)).toMatchObject({ copied: 30, failed: 0 });
    expect(await contents(onDisk)).toEqual(expected);
  });

  it('goes on where it was killed', async () => {
    await fill(onDisk);
    for (let kill = 0; kill < 4; kill++) {
      const child = spawn(process.execPath, [program, 'store', 'copy', `file:${directory}`, server.url], {
        stdio: 'ignore',
      });
      const exited = once(child, 'exit');
      // Once it has begun to write, a moment longer each time.
      while ((await redis.client.scard('preamble:1:tenants')) <= kill && child.exitCode === null) await delay(1);
      child.kill('SIGKILL');
      await exited;
    }
    expect((await copy(`file:${directory}`, server.url)).status).toBe(0);
    expect(await contents(onRedis)).toEqual(await contents(onDisk));
  });

  it('repairs what is damaged in its target', async () => {
    await fill(onDisk);
    expect((await copy(`file:${directory}`, server.url)).status).toBe(0);
    const expected = await contents(onRedis);
    const [piece = ''] = await redis.client.keys('*:piece:*:0');
    await redis.client.unlink(piece);
    expect(JSON.parse((await copy(`file:${directory}`, server.url)).out)).toMatchObject({ copied: 1, skipped: 29 });
    expect(await contents(onRedis)).toEqual(expected);

    const damaged = path.join(versionOf('polite'), 'adapter_model.safetensors');
    fs.truncateSync(damaged, 50);
    fs.truncateSync(path.join(versionOf('users,alice', 'kv.safetensors'), '../name.json'), 50);
    expect(JSON.parse((await copy(server.url, `file:${directory}`)).out)).toMatchObject({ copied: 2, failed: 0 });
    expect(await contents(onDisk)).toEqual(expected);
  });

  it('tells of what is damaged, copies the rest, and fails', async () => {
    await fill(onDisk);
    const info = path.join(versionOf('polite'), 'prefix.json');
    fs.writeFileSync(info, fs.readFileSync(info, 'utf8').replace('Dear Sir', 'Dear Sis'));
    const { status, out, err } = await copy(`file:${directory}`, server.url);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toEqual({ names: 18, copied: 29, skipped: 0, failed: 1 });
    expect(err).toContain('/t/polite: name: version');
  });

  it.each([
    ['polite', 'adapter_model.safetensors'],
    ['users,alice', 'kv.safetensors'],
  ])('tells of %s, whose %s the version says nothing about', async (name, file) => {
    await fill(onDisk);
    const damaged = path.join(versionOf(name, file), file);
    const bytes = fs.readFileSync(damaged);
    bytes[bytes.length - 1]! ^= 1;
    fs.writeFileSync(damaged, bytes);
    const { status, out, err } = await copy(`file:${directory}`, server.url);
    expect([status, JSON.parse(out)]).toEqual([1, { names: 18, copied: 29, skipped: 0, failed: 1 }]);
    expect(err).toMatch(new RegExp(`: version [0-9a-f]{12} has a damaged ${file}\n`));
  });

  it('tells of a missing file and of missing sums, and goes on behind a damaged record', async () => {
    await fill(onDisk);
    fs.rmSync(path.join(versionOf('users,alice', 'kv.safetensors'), 'kv.safetensors'));
    const record = path.join(versionOf('polite'), 'prefix.json');
    fs.writeFileSync(record, JSON.stringify({ ...JSON.parse(fs.readFileSync(record, 'utf8')), sha256: undefined }));
    fs.writeFileSync(path.join(versionOf('polite', 'prefix.json', 'T'), 'prefix.json'), '{');
    const { status, out, err } = await copy(`file:${directory}`, server.url);
    expect([status, JSON.parse(out)]).toEqual([1, { names: 18, copied: 27, skipped: 0, failed: 3 }]);
    expect(err).toContain('has a damaged kv.safetensors');
    expect(err).toContain('has no sums of its files');
    expect(err).toContain('the stored record of this version is damaged');
  });

  it.each([
    ['file:/nowhere/at/all', 1, /nowhere/],
    ['redis://:secret@127.0.0.1:1', 1, /^preamble: FROM: 127\.0\.0\.1:1 refuses the connection/m],
    ['http://x', 2, /^preamble: FROM: /m],
  ])('refuses %s', async (from, status, message) => {
    const refused = await copy(from, server.url);
    expect(refused.status).toBe(status);
    expect(refused.err).toMatch(message);
    expect(refused.err).not.toContain('secret');
  });
});
