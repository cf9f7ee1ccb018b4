import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { StoreError } from '../../src/lib/store-error.js';
import { Files } from '../../src/files/files.js';
import { send } from '../support/http.js';
import { listen, testServer, type TestServer } from './harness.js';
import { temporaryDirectory } from './prefix-library.js';

async function diskFiles(): Promise<Files> {
  const store = await DiskFileStore.open(await temporaryDirectory());
  return new Files({ store, quota: { maxFiles: 10, maxBytes: 1e9 }, now: Date.now });
}

const serving = (files: Files): Promise<TestServer> => testServer({}, { files });

describe('a file that is downloaded', () => {
  it('costs a piece or two while nobody reads it, however often it is asked for at once', async () => {
    const files = await diskFiles();
    const content = Buffer.alloc(24 << 20, 'line\n');
    const { id } = await files.add('default', 'data.jsonl', 'fine-tune', content);
    const opened: (Readable & { readonly bytesRead?: number })[] = [];
    const open = files.content.bind(files);
    files.content = async (...args) => {
      const stream = await open(...args);
      opened.push(stream.content);
      return stream;
    };
    const { app } = await serving(files);
    const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1');
    const times = 5;
    socket.write(`GET /v1/files/${id}/content HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(times));
    let [bytes, most] = [0, 0];
    // What comes first is in the sockets' buffers; then the server has nobody to send to.
    await new Promise((resolve) => socket.once('readable', resolve));
    await expect.poll(() => opened[0]?.bytesRead).toBeGreaterThan(0);
    expect(opened).toHaveLength(1);
    expect(opened[0]?.bytesRead).toBeLessThan(content.length);
    for await (const data of socket) {
      bytes += (data as Buffer).length;
      most = Math.max(most, opened.filter(({ destroyed }) => !destroyed).length);
      if (bytes > times * content.length) break;
    }
    expect(opened).toHaveLength(times);
    expect(most).toBe(1);
  });

  it('tells its size to HEAD, and is not read for it', async () => {
    const files = await diskFiles();
    const { id } = await files.add('default', 'data.jsonl', 'fine-tune', Buffer.from('abc'));
    const url = await listen((await serving(files)).app);
    const path = `/v1/files/${id}/content`;
    const whole = await send(url, { path });
    expect(whole).toMatchObject({ status: 200, text: 'abc', headers: { 'content-length': '3' } });
    const head = await send(url, { method: 'HEAD', path });
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': '3' } });
    expect((await send(url, { path: '/v1/files/file-0/content' })).status).toBe(404);
  });

  it('is refused when its first piece cannot be read, and breaks off when a later one cannot', async () => {
    const files = await diskFiles();
    const url = await listen((await serving(files)).app);
    const failAfter = (pieces: string[]) => {
      const content = Readable.from(
        (async function* () {
          yield* pieces;
          throw new StoreError('files', 'unavailable');
        })(),
        { objectMode: false },
      );
      files.content = async () => ({ bytes: 6, content });
    };
    failAfter([]);
    const refused = await send(url, { path: '/v1/files/a/content' });
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('"code":"store_unavailable"') });
    failAfter(['abc']);
    await expect(send(url, { path: '/v1/files/a/content' })).rejects.toThrow('aborted');
  });
});

describe('a connection that is still', () => {
  it('is closed when nobody takes the answer', async () => {
    const files = await diskFiles();
    const { id } = await files.add('default', 'data.jsonl', 'fine-tune', Buffer.alloc(24 << 20, 'line\n'));
    const { app } = await serving(files);
    expect(app.server.timeout).toBeGreaterThan(0);
    app.server.timeout = 300; // no test waits for so long
    const closed = new Promise((resolve) => app.server.once('connection', (socket) => socket.once('close', resolve)));
    const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1').on('error', () => undefined);
    socket.write(`GET /v1/files/${id}/content HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await closed;
  });

  it('waits for an answer that takes its time', async () => {
    const { app, engine } = await testServer();
    let connection: Socket | undefined;
    app.server.once('connection', (socket: Socket) => (connection = socket));
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    engine.script = () => gate;
    const timedOut = new Promise((resolve) => app.server.once('timeout', resolve));
    const url = await listen(app);
    const answer = send(url, { method: 'POST', path: '/v1/completions', body: { model: 'tiny', prompt: 'abc' } });
    await expect.poll(() => engine.running).toBe(1);
    connection?.setTimeout(50);
    await timedOut;
    open();
    expect((await answer).status).toBe(200);
  });
});

describe('requests of one connection', () => {
  const body = JSON.stringify({ model: 'tiny', prompt: 'abc', max_tokens: 1 });
  const head = `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;

  /** Sends three at once, the last of them with a header. */
  async function sendThree({ app }: TestServer, header = 'x: y'): Promise<Socket> {
    const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1');
    socket.write(`${head}\r\n\r\n${body}`.repeat(2) + `${head}\r\n${header}\r\n\r\n${body}`);
    return socket;
  }

  it('are let in one after another', async () => {
    const server = await testServer();
    const { engine } = server;
    let most = 0;
    engine.script = () => void (most = Math.max(most, engine.running));
    const socket = await sendThree(server, 'connection: close');
    const answers = (await socket.toArray()).join('');
    expect(answers.match(/HTTP\/1\.1 200/g)).toHaveLength(3);
    expect(most).toBe(1);
  });

  it('are not let in when it ends with the answer before', async () => {
    const server = await testServer();
    server.announceLeaving();
    const answers = (await (await sendThree(server)).toArray()).join('');
    expect(answers.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    await server.drain();
    expect(server.engine.submitted).toHaveLength(1);
  });

  it('are forgotten when it breaks', async () => {
    const server = await testServer();
    const { engine } = server;
    engine.script = () => new Promise(() => undefined);
    const socket = await sendThree(server);
    await expect.poll(() => engine.running).toBe(1);
    socket.destroy();
    await expect.poll(() => engine.running).toBe(0);
    await server.drain();
    expect(engine.submitted).toHaveLength(1);
  });
});
