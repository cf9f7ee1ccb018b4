import { connect, type Socket } from 'node:net';
import { text as readAll } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { send, type Answer } from '../support/http.js';
import { realServer, type RealServer } from '../support/real-server.js';

const completion = { model: 'preamble-demo', prompt: 'The', max_tokens: 4 };
const complete = (url: string, body: object | string | Uint8Array): Promise<Answer> =>
  send(url, { method: 'POST', path: '/v1/completions', body });
/** A completion as text, with a field as it is written. */
const written = (field: string): string => `{"model":"preamble-demo","prompt":"The","max_tokens":4,${field}}`;

/** It still lives, and still serves. */
async function expectWell({ url, engine }: RealServer): Promise<void> {
  expect((await send(url, { path: '/livez' })).status).toBe(200);
  expect(await complete(url, completion)).toMatchObject({ status: 200 });
  await engine.idle();
  engine.checkIntegrity();
}

function open({ url }: RealServer): Socket {
  return connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
}

/** Sends text on a connection of its own and returns all that comes until the server hangs up. */
async function sendRaw(server: RealServer, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket = open(server);
  for (const piece of pieces) socket.write(piece);
  return readAll(socket).catch(() => '(reset)');
}

const head = (length: number | string, path = '/v1/completions'): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
const chunked = (type = 'application/json', path = '/v1/completions'): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

describe('JSON', () => {
  const deep = (open: string, close: string): string => open.repeat(100_000) + close.repeat(100_000);
  const long = 'x'.repeat(1 << 20);

  it.each([
    ['arrays nested 100,000 deep', deep('[', ']'), 400, 'invalid_json'],
    ['objects nested 100,000 deep', deep('{"a":', '}').replace(':}', ':1}'), 400, 'invalid_json'],
    ['a prompt nested 100,000 deep', written(`"user":${deep('[', ']')}`), 400, 'invalid_json'],
    ['33 levels', '['.repeat(33) + ']'.repeat(33), 400, 'invalid_json'],
    ['32 levels', '['.repeat(32) + ']'.repeat(32), 400, 'invalid_type'],
    ['brackets in a string', written(`"user":"${'['.repeat(1000)}\\"${'{'.repeat(1000)}"`), 200, undefined],
    ['a string that ends in backslashes', written(`"user":"\\\\"`), 200, undefined],
    ['a string without an end', `{"user":"${'['.repeat(1000)}\\"`, 400, 'invalid_json'],
    ['a number beyond all floats', written('"temperature":1e999'), 400, 'invalid_type'],
    ['an integer beyond all integers', written('"max_tokens":1e300'), 400, 'invalid_value'],
    ['a number of a million digits', written(`"seed":${'9'.repeat(1_000_000)}`), 400, 'invalid_type'],
    ['a million digits after the point', written(`"temperature":0.${'0'.repeat(1_000_000)}1`), 200, undefined],
    ['the smallest temperature', written('"temperature":5e-324'), 200, undefined],
    ['the smallest penalty', written('"repetition_penalty":5e-324'), 200, undefined],
    ['the largest penalty', written('"repetition_penalty":1.7e308,"temperature":0'), 200, undefined],
    ['minus zero', written('"seed":-0,"top_p":-0.0,"min_p":-0'), 200, undefined],
    ['a key twice: the last one counts', written('"max_tokens":"x","max_tokens":2'), 200, undefined],
    ['__proto__', written('"__proto__":{"max_tokens":1}'), 400, 'unknown_parameter'],
    ['an escaped __proto__', written('"\\u005f_proto__":{"max_tokens":1}'), 400, 'unknown_parameter'],
    ['constructor.prototype', written('"constructor":{"prototype":{"a":1}}'), 400, 'unknown_parameter'],
    ['constructor', written('"constructor":1'), 400, 'unknown_parameter'],
    ['toString', written('"toString":1'), 400, 'unknown_parameter'],
    ['a model named constructor', written('"model":"constructor"'), 404, 'model_not_found'],
    ['a bias for __proto__', written('"logit_bias":{"__proto__":1}'), 400, 'unknown_parameter'],
    ['a bias for constructor', written('"logit_bias":{"constructor":1}'), 400, 'invalid_value'],
    ['a bias for 1e3', written('"logit_bias":{"1e3":1}'), 400, 'invalid_value'],
    ['lone surrogates', written('"prompt":"\\ud800 \\udc00\\ud800","stop":"\\udfff","user":"\\ud800"'), 200, undefined],
    ['null bytes', written('"prompt":"\\u0000\\u0000","stop":["\\u0000"]'), 200, undefined],
    ['a null byte between the tokens', `{"model"\0:"preamble-demo"}`, 400, 'invalid_json'],
    ['a byte order mark', `\uFEFF${written('"n":1')}`, 200, undefined],
    ['a stop string of a megabyte', written(`"stop":"${long}"`), 200, undefined],
    ['a megabyte as a model', written(`"model":"${long}"`), 404, 'model_not_found'],
    ['a megabyte as a field', written(`"${long}":1`), 400, 'unknown_parameter'],
    [
      'a hundred thousand unknown token ids',
      written(`"prompt":[${'9,'.repeat(100_000)}9]`),
      400,
      'context_length_exceeded',
    ],
    ['a prompt of four megabytes', written(`"prompt":"${'x '.repeat(2_000_000)}"`), 400, 'context_length_exceeded'],
    ['a hundred thousand prompts', written(`"prompt":[${'"a",'.repeat(100_000)}"a"]`), 400, 'invalid_json'],
    ['a hundred thousand fields', `{${'"a":1,'.repeat(100_000)}"b":1}`, 400, 'invalid_json'],
    ['a hundred thousand empty prompts', written(`"prompt":[${'[],'.repeat(100_000)}[]]`), 400, 'invalid_json'],
    ['a hundred thousand colons in a string', written(`"user":"${':'.repeat(100_000)}"`), 200, undefined],
    ['nothing but spaces', ' '.repeat(1_000_000), 400, 'invalid_json'],
    ['bytes that are no UTF-8', Buffer.from(written('"user":"\xff\xfe\xc0\x80"'), 'latin1'), 400, 'invalid_json'],
    ['half a character at the end', Buffer.from(written('"user":"\xe2\x82"'), 'latin1'), 400, 'invalid_json'],
    ['UTF-16', Buffer.from(written('"n":1'), 'utf16le'), 400, 'invalid_json'],
  ])('%s', async (_, body, status, code) => {
    const server = await realServer();
    const answer = await complete(server.url, body);
    expect(answer.status, answer.text.slice(0, 300)).toBe(status);
    if (code) expect(JSON.parse(answer.text)).toMatchObject({ error: { code, message: expect.any(String) as string } });
    expect(answer.text.length).toBeLessThan(5000);
    await expectWell(server);
  });
});

describe('HTTP', () => {
  const garbage = ['GET / SMTP/1.0', '\0\0\0\0', 'PRI * HTTP/2.0', '\x16\x03\x01\x02\x00\x01', 'G'.repeat(100_000)];
  const json = JSON.stringify(completion);
  const encoded = (encoding: string, path?: string, type = 'application/json'): string =>
    head(json.length, path)
      .replace('application/json', type)
      .replace('localhost\r\n', `localhost\r\ncontent-encoding: ${encoding}\r\nconnection: close\r\n`);

  it.each([
    ['no HTTP', 'nonsense\r\n\r\n', 400, 'invalid_request'],
    ['an unknown method', 'XYZZY / HTTP/1.1\r\nhost: localhost\r\n\r\n', 400, 'invalid_request'],
    [
      'a header of 10 MB',
      `GET /livez HTTP/1.1\r\nhost: localhost\r\na: ${'b'.repeat(10_000_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      '100,000 headers',
      `GET /livez HTTP/1.1\r\nhost: localhost\r\n${'a: b\r\n'.repeat(100_000)}\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'a URL of a megabyte',
      `GET /${'a'.repeat(1 << 20)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['a header with a null byte', 'GET /livez HTTP/1.1\r\nhost: localhost\r\na: \0\r\n\r\n', 400, 'invalid_request'],
    ['no host', 'GET /livez HTTP/1.1\r\n\r\n', 400, undefined],
    ['a negative content-length', head('-1') + json, 400, 'invalid_request'],
    ['a content-length that is no number', head('1e3') + json, 400, 'invalid_request'],
    ['two content-lengths', head(`5\r\ncontent-length: 6`) + json, 400, 'invalid_request'],
    ['a length and chunks', head(`5\r\ntransfer-encoding: chunked`) + json, 400, 'invalid_request'],
    ['a content-length beyond all limits', head('9'.repeat(18)) + json, 413, 'request_too_large'],
    ['a chunk of a negative size', `${chunked()}-5\r\n${json}`, 400, undefined],
    ['a chunk of a huge size', `${chunked()}${'f'.repeat(17)}\r\n${json}`, 400, undefined],
    ['a body encoded in a way nobody knows', encoded('xyzzy') + json, 415, 'unsupported_media_type'],
    ['a compressed body', encoded('gzip') + json, 415, 'unsupported_media_type'],
    [
      'a compressed form',
      encoded('gzip', '/v1/prefixes', 'multipart/form-data; boundary=b') + json,
      415,
      'unsupported_media_type',
    ],
    ['a body that says that it is not encoded', encoded('Identity') + json, 200, undefined],
  ])('%s', async (_, bytes, status, code) => {
    const server = await realServer();
    const answer = await sendRaw(server, bytes);
    expect(answer).toMatch(`HTTP/1.1 ${status} `);
    if (code) expect(answer).toContain(`"code":"${code}"`);
    await expectWell(server);
  });

  it.each(garbage)('%j', async (text) => {
    const server = await realServer();
    await sendRaw(server, text, '\r\n\r\n', text);
    await expectWell(server);
  });

  it('a body that is too long, whose sender still reads the refusal', async () => {
    const server = await realServer();
    for (let i = 0; i < 4; i++) {
      const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'x'.repeat(5_000_000) };
      expect((await fetch(`${server.url}/v1/completions`, post)).status).toBe(413);
    }
    await expectWell(server);
  });

  it('a body that is longer than it says: what is too much is no request', async () => {
    const server = await realServer();
    const answer = await sendRaw(server, head(json.length) + json + 'and more\r\n\r\n');
    expect(answer.match(/HTTP\/1\.1 \d+/g)?.at(-1)).toBe('HTTP/1.1 400');
    await expectWell(server);
  });

  it('pipelined requests, and garbage behind them, that breaks into no answer', async () => {
    const server = await realServer();
    const streamed = JSON.stringify({ ...completion, stream: true, max_tokens: 300, ignore_eos: true });
    const socket = open(server);
    socket.write(`GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n${head(streamed.length)}${streamed}`);
    await new Promise<void>((resolve) => {
      let seen = '';
      socket.on('data', (data: Buffer) => {
        seen += data.toString();
        if (!seen.includes('data: ')) return;
        socket.removeAllListeners('data');
        resolve();
      });
    });
    socket.write('garbage\r\n\r\n');
    expect(await readAll(socket).catch(() => '')).not.toContain('HTTP/1.1');
    await expectWell(server);
  });

  it.each([
    ['/v1/completions', 'application/json', '"'],
    ['/v1/prefixes', 'application/json', ' '],
    ['/v1/prefixes', 'multipart/form-data; boundary=b', 'x'],
    [
      '/v1/prefixes',
      'multipart/form-data; boundary=b',
      '--b\r\ncontent-disposition: form-data; name="adapter_model"; filename="x"\r\n\r\n',
    ],
    ['/v1/completions', 'multipart/form-data; boundary=b', 'x'],
  ])('chunks without end to %s as %s', async (path, type, start) => {
    const server = await realServer({ maxBodyBytes: 1 << 16, maxUploadBytes: 1 << 16 });
    const socket = open(server);
    const answer = readAll(socket).catch(() => '(reset)');
    socket.write(chunked(type, path) + chunk(start));
    // The kernel takes what nobody reads, up to a point.
    while (!socket.closed) {
      if (!socket.writableNeedDrain) socket.write(chunk('y'.repeat(10_000)));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await answer).toMatch(/HTTP\/1\.1 (4\d\d)|\(reset\)/);
    await expectWell(server);
  });

  it.each([0, 10, 40])('a connection closed %d bytes into the body', async (bytes) => {
    const server = await realServer();
    const socket = open(server);
    socket.write(head(json.length) + json.slice(0, bytes), () => socket.resetAndDestroy());
    await new Promise((resolve) => socket.once('close', resolve));
    await expectWell(server);
  });

  it('a connection closed within an upload', async () => {
    const server = await realServer();
    const socket = open(server);
    const part = '--b\r\ncontent-disposition: form-data; name="adapter_model"; filename="x"\r\n\r\nabc';
    socket.write(chunked('multipart/form-data; boundary=b', '/v1/prefixes') + chunk(part), () => socket.destroy());
    await new Promise((resolve) => socket.once('close', resolve));
    await expectWell(server);
  });
});

describe('a client that takes its time', () => {
  const slow = { headersTimeoutSeconds: 1, requestTimeoutSeconds: 2, keepAliveSeconds: 1 };

  /** Sends a byte now and then until the server has enough. */
  async function drip(server: RealServer, start: string): Promise<string> {
    const socket = open(server);
    socket.write(start);
    const timer = setInterval(() => socket.write('a'), 100);
    return readAll(socket)
      .catch(() => '(reset)')
      .finally(() => clearInterval(timer));
  }

  it('is told so, in its headers and in its body', async () => {
    const server = await realServer(slow);
    const answers = await Promise.all([
      drip(server, 'GET /'),
      drip(server, 'GET /livez HTTP/1.1\r\nhost: localhost\r\na: '),
      drip(server, head(100_000) + '{"'),
      drip(server, chunked()),
    ]);
    for (const answer of answers.slice(0, 3)) expect(answer).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
    expect(answers[3]).toMatch(/^HTTP\/1\.1 4/);
    await expectWell(server);
  });

  it('may be quiet between two requests for so long, and no longer', async () => {
    const server = await realServer(slow);
    const socket = open(server);
    socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 .*keep-alive: timeout=1\r\n/is);
  });

  it('gets an answer that takes longer than any request may', async () => {
    const server = await realServer({ ...slow, requestTimeoutSeconds: 1 });
    const body = { ...completion, prompt: Array.from({ length: 20 }, () => [1]), max_tokens: 500, ignore_eos: true };
    const answer = await complete(server.url, body);
    expect(JSON.parse(answer.text)).toMatchObject({ usage: { completion_tokens: 20 * 500 } });
  });
});
