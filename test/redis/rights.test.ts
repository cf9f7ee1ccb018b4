import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished, vi } from 'vitest';

import { openStore } from '../../src/app/open/store.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { COMMANDS, KEY_PATTERNS, requireRights } from '../../src/redis/rights.js';
import { preamble } from '../cli/preamble.js';
import { base } from '../prefix/fixtures.js';
import { exitStatus, startWorker, testModelCache } from '../support/program.js';
import { RedisServer } from '../support/redis-server.js';
import { makeDocumentedUser } from '../support/redis-user.js';

let server: RedisServer;
let admin: RedisConnection;
/** Of the documented user. */
let url: string;
beforeAll(async () => {
  server = await RedisServer.start();
  admin = await RedisConnection.open({ url: server.url });
});
afterAll(async () => {
  admin.close();
  await server.stop();
});
beforeEach(async () => {
  url = await makeDocumentedUser(admin, server.port);
});

const change = (...rules: string[]): Promise<unknown> => admin.client.acl('SETUSER', 'preamble', ...rules);

async function connect(): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url });
  onTestFinished(() => connection.close());
  return connection;
}

/** What a server of the user is told is missing. */
async function missing(connection: RedisConnection): Promise<string> {
  const error: unknown = await requireRights(connection).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'RedisRefusedError' });
  return /^Redis does not let its user (.*): docs\/operations\.md/.exec((error as Error).message)?.[1] ?? '';
}

it('nothing is missing to the documented user, and trying it changes nothing', async () => {
  await requireRights(await connect());
  expect(await admin.client.dbsize()).toBe(0);
});

it('what others send at the same time does not make it carry anything out', async () => {
  await admin.client.sadd('preamble:1:tenants', 'a');
  onTestFinished(async () => void (await admin.client.del('preamble:1:tenants')));
  const connection = await connect();
  await Promise.all([requireRights(connection), connection.isWorking()]);
  expect(await admin.client.keys('*')).toEqual(['preamble:1:tenants']);
  expect(await admin.client.smembers('preamble:1:tenants')).toEqual(['a']);
});

it('each command that is missing is named', async () => {
  const connection = await connect();
  const names = [...COMMANDS.map((command) => command.split(' ', 1)[0] ?? ''), 'SUBSCRIBE', 'MULTI'];
  expect(names.length).toBeGreaterThan(60);
  for (const name of names) {
    await change(`-${name}`);
    expect(await missing(connection)).toBe(`run ${name}`);
    await change(`+${name}`);
  }
  await change('-@scripting', '-hset');
  expect(await missing(connection)).toBe('run EVAL, EVALSHA, HSET');
  expect(await admin.client.dbsize()).toBe(0);
});

it('the doctor and a worker name it', async () => {
  await change('-evalsha');
  vi.stubEnv('PREAMBLE_STORE', url);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { problems } = JSON.parse((await preamble('doctor', '--json')).out);
  const problem = expect.stringMatching(/^PREAMBLE_STORE: Redis does not let its user run EVALSHA: /);
  expect(problems).toEqual([{ problem, fix: expect.stringContaining('docs/operations.md'), fatal: true }]);
  const worker = await startWorker({ PREAMBLE_STORE: url, PREAMBLE_CACHE: testModelCache });
  expect([await exitStatus(worker), worker.output.err]).toEqual([2, expect.stringContaining('user run EVALSHA: ')]);
});

it('a transaction that cannot be taken back is given up with its connection', async () => {
  await change('-discard');
  await expect(openStore({ kind: 'redis', url }, base.fingerprint)).rejects.toThrow(
    /^PREAMBLE_STORE: Redis does not let its user run DISCARD: /,
  );
  await expect.poll(async () => String(await admin.client.client('LIST'))).not.toContain('user=preamble');
  expect(await admin.client.dbsize()).toBe(0);
});

it('keys and channels that are missing are named', async () => {
  const connection = await connect();
  await change('resetkeys', '~preamble:1:*');
  expect(await missing(connection)).toBe('read and write the keys preamble:{tenancy}:*, preamble:rate:*');
  await change('resetkeys', '%R~preamble:*');
  expect(await missing(connection)).toBe(`read and write the keys ${KEY_PATTERNS.join(', ')}`);
  await change('~preamble:*', 'resetchannels', '&preamble:1:*');
  const other = await connect(); // the subscriber of the other was hung up on
  expect(await missing(other)).toBe('publish to and listen on the channels preamble:{tenancy}:changes');
  await change('-get');
  expect(await missing(await connect())).toBe(
    'run GET; publish to and listen on the channels preamble:{tenancy}:changes',
  );
});

it('a command that Redis does not have is named', async () => {
  const other = await RedisServer.start(['--rename-command', 'EVAL', '']);
  onTestFinished(() => other.stop());
  await expect(openStore({ kind: 'redis', url: other.url }, base.fingerprint)).rejects.toMatchObject({
    name: 'ConfigError',
    message: expect.stringMatching(/^PREAMBLE_STORE: Redis does not let its user run EVAL: /),
  });
});

it('a Redis that is full or a replica is opened, degraded', async () => {
  const full = await RedisServer.start(['--maxmemory', '1', '--maxmemory-policy', 'noeviction']);
  onTestFinished(() => full.stop());
  const replica = await RedisServer.start(['--replicaof', '127.0.0.1', String(server.port)]);
  onTestFinished(() => replica.stop());
  for (const { url } of [full, replica]) {
    const { ready, close } = await openStore({ kind: 'redis', url }, base.fingerprint);
    expect(await ready()).toBe(false);
    close();
  }
});
