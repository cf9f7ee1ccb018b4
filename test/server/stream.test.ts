import { connect, type Socket } from 'node:net';

import { describe, expect, it, vi } from 'vitest';

import { SseStream } from '../../src/server/http/sse-stream.js';
import { listen, testServer } from './harness.js';

const forever = { model: 'tiny', prompt: 'abc', max_tokens: 60 };

/** Sends a request on a socket of its own, so that a test can hang up or stop reading. */
function request(url: string, path: string, body: object): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const text = JSON.stringify(body);
  const head = [
    `POST ${path} HTTP/1.1`,
    'host: localhost',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
  return socket;
}

describe('a client that goes away', () => {
  it.each([
    ['/v1/completions', { ...forever, n: 3 }],
    ['/v1/completions', { ...forever, n: 3, stream: true }],
    ['/v1/batch/completions', { requests: [1, 2, 3].map((id) => ({ custom_id: `${id}`, body: forever })) }],
    [
      '/v1/batch/completions',
      { requests: [1, 2, 3].map((id) => ({ custom_id: `${id}`, body: forever })), stream: true },
    ],
  ])('cancels all its sequences: %s %j', async (path, body) => {
    const { app, engine } = await testServer();
    engine.script = (_, step) => (step === 3 ? new Promise(() => undefined) : undefined);
    const socket = request(await listen(app), path, body);
    await vi.waitFor(() => expect(engine.running).toBe(3), 30_000);
    socket.destroy();
    await vi.waitFor(() => expect(engine).toMatchObject({ running: 0, cancelled: 3 }), 30_000);
  });

  it.each([
    ['/v1/completions', { ...forever, stream: true }],
    ['/v1/batch/completions', { requests: [{ custom_id: 'a', body: forever }], stream: true }],
  ])('before its first token is no failure of the server: %s', async (path, body) => {
    const { app, engine, log } = await testServer();
    engine.script = () => new Promise(() => undefined);
    const socket = request(await listen(app), path, body);
    await vi.waitFor(() => expect(engine.running).toBe(1), 30_000);
    socket.destroy();
    await vi.waitFor(() => expect(log()).toContain('"code":"client_closed_request"'), 30_000);
    expect(log()).not.toContain('request failed');
    const metrics = (await app.inject('/metrics')).body;
    expect(metrics).toContain('code="client_closed_request"');
    expect(metrics).not.toContain('code="internal_error"');
  });

  it('cancels nothing when it has its whole answer', async () => {
    const { app, engine } = await testServer();
    const url = await listen(app);
    for (const stream of [false, true]) {
      const body = JSON.stringify({ ...forever, stream });
      const headers = { 'content-type': 'application/json' };
      await (await fetch(`${url}/v1/completions`, { method: 'POST', headers, body })).text();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(engine).toMatchObject({ running: 0, cancelled: 0 });
  });
});

describe('a stream', () => {
  it('sends each token as it comes', async () => {
    const { app, engine } = await testServer();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    engine.script = (_, step) => (step === 1 ? gate : undefined);
    const socket = request(await listen(app), '/v1/completions', { ...forever, max_tokens: 2, stream: true });
    let received = '';
    socket.on('data', (data) => (received += data.toString()));
    await vi.waitFor(() => expect(received).toContain('"text":"a"'), 30_000);
    expect(received).not.toContain('"text":"b"');
    open();
    await vi.waitFor(() => expect(received).toContain('data: [DONE]\n\n'), 30_000);
    expect(received).toContain('"text":"b"');
    socket.destroy();
  });
});

describe('SseStream', () => {
  it('makes writers wait until the reader has read', async () => {
    const stream = new SseStream();
    const text = 'x'.repeat(stream.readable.writableHighWaterMark);
    let sent = 0;
    const writers = Array.from({ length: 20 }, () => stream.send({ text }).then(() => sent++));
    await new Promise(setImmediate);
    expect(sent).toBe(0);
    stream.readable.resume();
    await Promise.all(writers);
    expect(sent).toBe(20);
  });

  it('lets writers go when the reader is gone', async () => {
    const stream = new SseStream();
    const waiting = stream.send({ text: 'x'.repeat(2 * stream.readable.writableHighWaterMark) });
    stream.readable.destroy();
    await waiting;
    await stream.send({ text: 'more' });
    await stream.done();
  });
});
