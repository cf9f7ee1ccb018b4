import { readdir, readFile, rm, symlink, truncate } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import { expect, it, vi } from 'vitest';

import { bundledPrefixes } from '../../src/config/paths.js';
import { encodeForm, type Answer } from '../support/http.js';
import { addressOf, startProgram, testModelCache, type Running } from '../support/program.js';
import { completion, keys, Session } from './secret-session.js';

/** Every secret of this session has this word in it, and nothing else has. */
const SECRET = 'xyzzy';
const secretIds = [1999, 1777, 1555, 1333, 1111];

interface LogLine {
  readonly msg: string;
  readonly request_id?: string;
  readonly [field: string]: unknown;
}

async function completions(session: Session): Promise<number[]> {
  const answers = [
    await session.complete(),
    await session.complete({ stream: true, logprobs: 2, return_token_ids: true, echo: true }),
    await session.complete({ prompt: secretIds, stop_token_ids: secretIds, logit_bias: { 1999: -100, 1777: 5 } }),
    await session.complete({ prompt: [secretIds, secretIds], n: 2, best_of: 3, return_token_ids: true }),
    await session.complete({ logit_bias: { xyzzybias: 1 } }),
    await session.complete({ temperature: 'xyzzytype' }),
    await session.complete({ xyzzyfield: 1 }),
    await session.complete({ stream_options: { xyzzynested: 1 }, stream: true }),
    await session.complete({ model: 'xyzzymodel' }),
    await session.complete({ model: 'xyzzymodel@0123456789ab' }),
    await session.complete({ max_tokens: 5000 }),
    await session.complete({ prompt: Array(600).fill(1999) }),
    await session.complete({ prompt: 'xyzzylong '.repeat(2000) }),
    await session.post('/v1/completions', '{"model": "preamble-demo", "prompt": xyzzymalformed'),
    await session.post('/v1/completions', '{"prompt":"xyzzydepth","x":'.repeat(3) + '['),
    await session.post('/v1/completions', 'xyzzytext', { 'content-type': 'text/xyzzytype' }),
    await session.post('/v1/completions', 'xyzzybig'.repeat(20_000)),
    await session.call('', { method: 'POST', path: '/v1/completions', body: completion }),
  ];
  return answers.map(({ status }) => status);
}

async function batches(session: Session): Promise<number[]> {
  const requests = ['xyzzyone', 'xyzzytwo', 'xyzzythree'].map((id, i) => ({
    custom_id: id,
    body: { ...completion, model: i === 2 ? 'xyzzymissing' : completion.model },
  }));
  const answers = [
    await session.post('/v1/batch/completions', { requests }),
    await session.post('/v1/batch/completions', { requests, stream: true }),
    await session.post('/v1/batch/completions', { requests: [requests[0], requests[0]] }),
  ];
  return answers.map(({ status }) => status);
}

async function uploads(session: Session): Promise<number[]> {
  const read = (file: string): Promise<Buffer> => readFile(join(bundledPrefixes, 'headlines', file));
  const model = new Uint8Array(await read('adapter_model.safetensors'));
  const config = JSON.parse((await read('adapter_config.json')).toString()) as object;
  const upload = async (changes: object, tensors: Uint8Array<ArrayBuffer> | string = model): Promise<Answer> => {
    const form = await encodeForm({
      name: 'xyzzyname/headlines',
      adapter_config: [JSON.stringify({ ...config, ...changes }), 'xyzzyconfig.json'],
      adapter_model: [tensors, 'xyzzymodel.safetensors'],
    });
    return session.post('/v1/prefixes', form.body, form.headers);
  };
  const cut = await encodeForm({ name: 'xyzzycut', xyzzyfield: 'xyzzyvalue' });
  const answers = [
    await session.post('/v1/prefixes', { name: 'xyzzyname/text', text: 'Dear xyzzytext,' }),
    await session.post('/v1/prefixes', { name: 'xyzzyname/text', text: '' }),
    await session.post('/v1/prefixes', { name: '../xyzzyname', text: 'xyzzytext' }),
    await upload({ base_model_name_or_path: '/home/xyzzypath', xyzzykey: 'xyzzyvalue' }),
    await upload({ peft_type: 'xyzzytype' }),
    await upload({ task_type: 'xyzzytask', placement: 'xyzzyplace' }),
    await upload({}, 'xyzzytensors'),
    await session.post('/v1/prefixes', cut.body.subarray(0, 150), cut.headers),
    await session.post('/v1/prefixes', 'xyzzybody', { 'content-type': 'multipart/form-data; xyzzy="xyzzy' }),
    await session.complete({ model: 'xyzzyname/headlines' }),
    await session.complete({ model: 'xyzzyname/text', stream: true }),
  ];
  return answers.map(({ status }) => status);
}

async function paths(session: Session): Promise<number[]> {
  const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    session.call('alice', { path, headers });
  // Without a route nobody looks whose key it is.
  const lost = (path: string): Promise<Answer> =>
    session.call('', { path, headers: { authorization: `Bearer ${keys.alice}` } });
  const wrongKey = { authorization: 'Bearer xyzzywrongkey' };
  const answers = [
    await get('/v1/models?xyzzyquery=xyzzyvalue'),
    await get('/v1/prefixes?xyzzyquery=xyzzyvalue'),
    await get('/v1/prefixes?after=xyzzyafter'),
    await get('/v1/prefixes/xyzzyname%2Fheadlines'),
    await get('/v1/prefixes/xyzzyname%2Fheadlines/files/adapter_config.json'),
    await get('/v1/prefixes/xyzzyname%2Fheadlines/files/xyzzyfile'),
    await get('/v1/models/xyzzyname%2Fheadlines'),
    await lost('/v1/models/xyzzyname%2'),
    await lost('/xyzzypath/xyzzy?xyzzy=xyzzy'),
    await lost(`/v1/models/${'xyzzy'.repeat(400)}`),
    await session.call('', { path: '/v1/models', headers: wrongKey }),
    await session.call('', { path: '/v1/models', headers: { authorization: `Basic ${btoa('xyzzy:xyzzy')}` } }),
    await session.call('bob', { path: '/v1/prefixes/xyzzyname%2Fheadlines' }),
    await get('/v1/models', { 'x-request-id': 'xyzzy id, "with" odd content' }),
    await get('/v1/models', { 'x-request-id': 'sane-id-of-the-caller.1' }),
    await session.call('alice', { method: 'DELETE', path: '/v1/prefixes/xyzzyname%2Ftext' }),
  ];
  return answers.map(({ status }) => status);
}

/** A failure of ours, with a stored prefix that cannot be read any more: what it logs quotes nothing either. */
async function failure(session: Session, { directory }: Running): Promise<void> {
  await session.post('/v1/prefixes', { name: 'xyzzydamaged', text: 'xyzzytext xyzzytext' });
  const files = await readdir(join(directory, 'prefixes'), { recursive: true });
  const damaged = files.filter((file) => file.includes('xyzzydamaged~') && file.endsWith('adapter_model.safetensors'));
  for (const file of damaged) await truncate(join(directory, 'prefixes', file), 100);
  expect(await session.complete({ model: 'xyzzydamaged' })).toMatchObject({
    status: 500,
    text: expect.stringContaining('prefix_damaged') as string,
  });
  // An error of the file system has the path, and with it the name.
  const record = join(directory, 'prefixes', files.find((file) => /xyzzydamaged~.*name.json$/.test(file)) ?? '');
  await rm(record);
  await symlink(record, record);
  expect(await session.complete({ model: 'xyzzydamaged' })).toMatchObject({ status: 503 });
}

/** What is no HTTP, or breaks off, gets no line; it must leave nothing behind either. */
async function nonsense({ url }: Session): Promise<void> {
  const port = Number(new URL(url).port);
  for (const text of [
    'xyzzy xyzzy xyzzy\r\n\r\n',
    'GET /v1/models HTTP/1.1\r\nxyzzy\r\n\r\n',
    `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nxyzzy: ${'xyzzy'.repeat(10_000)}\r\n\r\n`,
  ]) {
    await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      socket
        .on('error', () => undefined)
        .resume()
        .once('close', resolve);
    });
  }
}

function linesOf(log: string): LogLine[] {
  const lines = log.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as LogLine);
}

it('logs one line for each request, and nothing of what was asked, said, stored or shown as a key', async () => {
  const running = await startProgram({
    PREAMBLE_API_KEYS: Object.entries(keys)
      .map(([tenant, key]) => `${tenant}=${key}`)
      .join(','),
    PREAMBLE_LOG_LEVEL: 'trace',
    PREAMBLE_CACHE: testModelCache,
    PREAMBLE_MAX_BODY_BYTES: '131072',
  });
  const session = new Session(await addressOf(running));

  expect(await completions(session)).toEqual([
    200, 200, 200, 200, 400, 400, 400, 400, 404, 404, 400, 400, 400, 400, 400, 415, 413, 401,
  ]);
  expect(await batches(session)).toEqual([200, 200, 400]);
  expect(await uploads(session)).toEqual([201, 400, 400, 201, 400, 400, 400, 400, 400, 200, 200]);
  expect(await paths(session)).toEqual([
    200, 400, 200, 200, 200, 400, 200, 400, 404, 404, 401, 401, 404, 200, 200, 200,
  ]);
  await session.leave();
  await failure(session, running);
  await nonsense(session);
  const lines = (): LogLine[] => linesOf(running.output.err).filter(({ msg }) => msg === 'request');
  await vi.waitFor(() => expect(lines().length).toBeGreaterThanOrEqual(session.requests.length), 10_000);

  for (const { id, status, tenant } of session.requests) {
    const own = lines().filter(({ request_id }) => request_id === id);
    expect(own, `${id} ${status}`).toHaveLength(1);
    expect(own[0]).toMatchObject({
      status,
      tenant,
      ms: expect.any(Number) as number,
      method: expect.any(String) as string,
    });
  }
  expect(lines()).toHaveLength(session.requests.length);
  expect(session.requests.map(({ id }) => id)).toContain('sane-id-of-the-caller.1');
  expect(lines()[0]).toMatchObject({ prompt_tokens: expect.any(Number) as number, completion_tokens: 8 });
  expect(lines().filter(({ finished }) => finished === false)).toMatchObject([
    { tenant: 'bob', route: '/v1/completions' },
  ]);

  expect(linesOf(running.output.err)).toContainEqual(
    expect.objectContaining({ msg: 'the store fails', cause: 'ELOOP' }),
  );
  const said = running.output.out + running.output.err;
  const spellings = [SECRET, Buffer.from(SECRET).toString('hex'), btoa(SECRET).replace(/.=*$/, '')];
  expect(said.split('\n').filter((line) => spellings.some((spelling) => line.includes(spelling)))).toEqual([]);
  // Token ids, tensors and buffers all show as numbers in a row.
  expect(said.match(/(-?\d+(\.\d+)?, ?){3}/g)).toBeNull();
});
