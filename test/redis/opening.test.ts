import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { openStore } from '../../src/app/open/store.js';
import type { StoreTls } from '../../src/app/open/store-tls.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { preamble } from '../cli/preamble.js';
import { FINGERPRINT } from '../fine-tuning/fixtures.js';
import { workerOf } from '../jobs/fixtures.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { Authority, type CertificateFiles } from '../support/certificates.js';
import { exitStatus, startProgram, testModelCache } from '../support/program.js';
import { freePort, RedisServer } from '../support/redis-server.js';
import { openJobQueue } from './open-job-queue.js';

/** Part of every URL that is refused here, and of no message. */
const SECRET = 'hunter2hunter2';

/** Tries to open a store, and gives the error. */
async function refusal(url: string, tls: StoreTls = {}): Promise<Error> {
  const error: unknown = await openStore({ kind: 'redis', url }, FINGERPRINT, tls).then(
    ({ close }) => close(),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  expect(String((error as Error).stack)).not.toContain(SECRET);
  return error as Error;
}

/** Listens on a free port, and answers as no Redis does. */
async function listen(onConnection: (socket: net.Socket) => void): Promise<number> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    onConnection(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return port;
}

describe('a Redis that cannot be opened is told of by its cause', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await RedisServer.start(['--requirepass', SECRET, '--maxclients', '4']);
  });
  afterAll(() => redis.stop());

  it('an address where nobody is', async () => {
    const port = await freePort();
    expect(await refusal(`redis://:${SECRET}@127.0.0.1:${port}`)).toMatchObject({
      name: 'Error',
      message: `PREAMBLE_STORE: 127.0.0.1:${port} refuses the connection: nothing listens there`,
    });
    expect((await refusal(`redis://:${SECRET}@no-such-host.invalid`)).message).toMatch(
      /^PREAMBLE_STORE: the name of the host no-such-host\.invalid:6379 (is not known|cannot be looked up at present)$/,
    );
  });

  it.each([
    ['no password', '', 'wants a password, and the URL has none'],
    ['a wrong password', `:${SECRET}x@`, 'refuses the user or the password in the URL'],
    ['a user that it does not have', `nobody:${SECRET}@`, 'refuses the user or the password in the URL'],
  ])('%s', async (_, credentials, problem) => {
    const error = await refusal(`redis://${credentials}127.0.0.1:${redis.port}`);
    expect(error).toMatchObject({ name: 'ConfigError', message: `PREAMBLE_STORE: 127.0.0.1:${redis.port} ${problem}` });
  });

  it('no room for one more client', async () => {
    const url = `redis://:${SECRET}@127.0.0.1:${redis.port}`;
    const other = await RedisConnection.open({ url });
    onTestFinished(() => other.close());
    // Redis says why and hangs up; the client may notice the end first.
    expect(await refusal(url)).toMatchObject({
      name: 'Error',
      message: expect.stringContaining('has too many clients'),
    });
  });

  it.each([
    ['a server that says something else', 'SSH-2.0-x\r\n', 'ConfigError', 'answers, but not as Redis does'],
    ['a server that says nothing', '', 'Error', 'does not answer in time.'],
  ])('%s', async (_, answer, name, problem) => {
    const port = await listen((socket) => socket.write(answer));
    const error = await refusal(`redis://:${SECRET}@127.0.0.1:${port}`);
    expect(error).toMatchObject({ name, message: `PREAMBLE_STORE: 127.0.0.1:${port} ${problem}` });
  });

  it('a server that hangs up', async () => {
    const port = await listen((socket) => socket.destroy());
    const { message } = await refusal(`redis://:${SECRET}@127.0.0.1:${port}`);
    expect(message).toContain(
      `127.0.0.1:${port} ends the connection without an answer. If it speaks TLS, write rediss://`,
    );
  });
});

describe('TLS', () => {
  let directory: string;
  let ca: Authority;
  let client: CertificateFiles;
  let stranger: CertificateFiles;
  /** Ports of TLS: of a server that any client may use, of one with a certificate for another host, of two that ask for certificates. */
  const ports = { open: 0, misnamed: 0, mutual: 0, old: 0 };
  let plainPort: number;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'preamble-tls-'));
    ca = await Authority.create(directory, 'ca');
    const other = await Authority.create(directory, 'other');
    client = await ca.issue('client', 'DNS:client.test');
    stranger = await other.issue('stranger', 'DNS:client.test');
    const own = await ca.issue('server', 'IP:127.0.0.1,DNS:localhost');
    ({ port: plainPort } = await startServer('open', own, 'no'));
    await startServer('misnamed', await ca.issue('misnamed', 'DNS:redis.test'), 'no');
    await startServer('mutual', own, 'yes');
    await startServer('old', own, 'yes', '--tls-protocols', 'TLSv1.2');
  });

  async function startServer(name: keyof typeof ports, { cert, key }: CertificateFiles, ...clients: string[]) {
    ports[name] = await freePort();
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca.file];
    const server = await RedisServer.start([
      '--tls-port',
      String(ports[name]),
      ...files,
      '--tls-auth-clients',
      ...clients,
    ]);
    servers.push(server);
    return server;
  }

  const servers: RedisServer[] = [];
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(directory, { recursive: true });
  });

  const url = (port: number, scheme = 'rediss'): string => `${scheme}://:${SECRET}@127.0.0.1:${port}`;
  const withClient = ({ cert, key }: CertificateFiles): StoreTls => ({
    storeCa: ca.file,
    storeCert: cert,
    storeKey: key,
  });

  it('is told of by its cause where it fails', async () => {
    const place = (port: number): string => `PREAMBLE_STORE: the certificate of 127.0.0.1:${port}`;
    expect(await refusal(url(ports.open))).toMatchObject({
      name: 'ConfigError',
      message: `${place(ports.open)} is from an authority that is not trusted: PREAMBLE_STORE_CA can name a file with its certificate`,
    });
    expect((await refusal(url(ports.open), { storeCa: stranger.cert })).message).toBe(
      `${place(ports.open)} is from an authority that is not trusted: it is not in PREAMBLE_STORE_CA`,
    );
    expect((await refusal(url(ports.misnamed), { storeCa: ca.file })).message).toBe(
      `${place(ports.misnamed)} is for DNS:redis.test`,
    );
    expect((await refusal(url(ports.mutual), { storeCa: ca.file })).message).toContain(
      'If it wants a client certificate, PREAMBLE_STORE_CERT and PREAMBLE_STORE_KEY can name one',
    );
    expect((await refusal(url(ports.old), { storeCa: ca.file })).message).toMatch(
      /refuses TLS: [a-z ]*handshake failure\. If it wants a client certificate, PREAMBLE_STORE_CERT /,
    );
    expect((await refusal(url(ports.mutual), withClient(stranger))).message).toContain(
      'If it wants a client certificate, it may not trust that in PREAMBLE_STORE_CERT',
    );
  });

  it('is not mistaken for a Redis without it, nor the other way round', async () => {
    expect((await refusal(url(ports.open, 'redis'))).message).toContain('If it speaks TLS, write rediss://');
    expect((await refusal(url(plainPort))).message).toContain('If it does not speak TLS, write redis://');
    const web = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect((await refusal(url(web))).message).toBe(
      `PREAMBLE_STORE: 127.0.0.1:${web} does not speak TLS: write redis://`,
    );
  });

  it('ends the program with one line where it fails', async () => {
    const settings = { PREAMBLE_STORE: url(ports.open), PREAMBLE_CACHE: testModelCache };
    const program = await startProgram(settings);
    expect(await exitStatus(program)).toBe(2);
    expect(program.output.err).toMatch(
      /^preamble: PREAMBLE_STORE: the certificate of [\d.:]+ is from an authority .*\n$/,
    );
  });

  it('with a private authority and a client certificate carries commands, messages, files and jobs', async () => {
    const tls = {
      ca: readFileSync(ca.file, 'utf8'),
      cert: readFileSync(client.cert, 'utf8'),
      key: readFileSync(client.key, 'utf8'),
    };
    const connection = await RedisConnection.open({ url: `rediss://127.0.0.1:${ports.mutual}`, tls });
    onTestFinished(() => connection.close());
    const queue = openJobQueue(connection);
    const done: string[] = [];
    await queue.work(workerOf(async ({ id }) => (done.push(id), 'done')));
    await queue.add({ tenant: 't', id: 'job' });
    await expect.poll(() => done, { timeout: 10_000 }).toEqual(['job']);
  });

  it('is used by every command that opens a store', async () => {
    vi.stubEnv('PREAMBLE_STORE', `rediss://127.0.0.1:${ports.mutual}`);
    vi.stubEnv('PREAMBLE_STORE_CA', ca.file);
    vi.stubEnv('PREAMBLE_STORE_CERT', client.cert);
    vi.stubEnv('PREAMBLE_STORE_KEY', client.key);
    onTestFinished(() => void vi.unstubAllEnvs());
    const doctor = JSON.parse((await preamble('doctor', '--json')).out);
    expect(doctor.store).toMatchObject({ answers: { value: true } });
    expect(doctor.settings).toMatchObject({
      PREAMBLE_STORE_CA: { value: ca.file },
      PREAMBLE_STORE_KEY: { value: client.key },
    });
    const to = `file:${await temporaryDirectory()}`;
    expect((await preamble('store', 'copy', `rediss://127.0.0.1:${ports.mutual}`, to)).status).toBe(0);
    expect((await preamble('store', 'list', `rediss://localhost:${ports.open}`)).status).toBe(0);
    const misnamed = await preamble('store', 'list', `rediss://127.0.0.1:${ports.misnamed}`);
    expect([misnamed.status, misnamed.err]).toEqual([
      2,
      expect.stringMatching(/^preamble: STORE: the certificate of /),
    ]);
  });

  describe('takes only files that can be used', () => {
    let bad: string;
    beforeEach(async () => {
      bad = join(directory, 'bad.pem');
      const der = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
      await writeFile(bad, `${readFileSync(ca.file, 'utf8')}${der}`);
    });

    it.each([
      ['CA', () => ({ storeCa: join(directory, 'nowhere.pem') }), /ENOENT: no such file/],
      ['CA', () => ({ storeCa: directory }), /EISDIR/],
      ['CA', () => ({ storeCa: client.key }), /client\.key holds no certificate in PEM$/],
      ['CA', () => ({ storeCa: bad }), /certificate 2 in .*bad\.pem is damaged$/],
      ['CERT', () => ({ storeCert: client.key, storeKey: client.key }), /holds no certificate in PEM$/],
      ['KEY', () => ({ storeCert: client.cert, storeKey: client.cert }), /client\.pem holds no private key in PEM$/],
      ['KEY', () => ({ storeCert: client.cert, storeKey: stranger.key }), /is not the key of .* PREAMBLE_STORE_CERT$/],
    ])('PREAMBLE_STORE_%s %#', async (variable, files, problem) => {
      const error = await refusal(url(ports.mutual), files());
      expect(error.name).toBe('ConfigError');
      expect(error.message).toMatch(new RegExp(`^PREAMBLE_STORE_${variable}: `));
      expect(error.message).toMatch(problem);
    });
  });
});
