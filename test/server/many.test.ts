import { describe, expect, it } from 'vitest';

import { eventsOf, post, sharedServer, testServer } from './harness.js';

const url = '/v1/batch/completions';
const item = (custom_id: string, body: object = {}): object => ({
  custom_id,
  body: { model: 'tiny', prompt: custom_id, max_tokens: 2, ...body },
});

describe('POST /v1/batch/completions', () => {
  it('answers each item as its own request would be, in the order asked', async () => {
    const { app } = await testServer();
    const { status, body } = await post(app, url, { requests: [item('xy', { max_tokens: 9 }), item('ab', { n: 2 })] });
    expect(status).toBe(200);
    expect(body.object).toBe('list');
    expect(body.data.map((result) => result.custom_id)).toEqual(['xy', 'ab']);
    const alone = await post(app, '/v1/completions', { model: 'tiny', prompt: 'ab', max_tokens: 2, n: 2 });
    expect(body.data[1]).toEqual({
      custom_id: 'ab',
      response: { status_code: 200, body: { ...alone.body, id: expect.any(String) } },
      error: null,
    });
  });

  it('lets one bad item fail alone, as its own request would', async () => {
    const { app, engine } = await testServer();
    engine.script = ({ prompt }) => {
      if (prompt[0] === 98) throw new Error('secret detail');
    };
    const bad = [
      item('a'),
      item('b'),
      item('c', { temperature: 3 }),
      item('d', { frobnicate: 1 }),
      item('e', { prompt: undefined }),
      item('f', { suffix: 'x' }),
      item('g', { stream: true }),
    ];
    const { status, body, text } = await post(app, url, { requests: bad });
    expect(status).toBe(200);
    const outcomes = body.data.map(({ response }) => [response.status_code, response.body.error]);
    expect(outcomes).toMatchObject([
      [200, undefined],
      [500, { code: 'internal_error' }],
      [400, { param: 'temperature' }],
      [400, { param: 'frobnicate', code: 'unknown_parameter' }],
      [400, { param: 'prompt', code: 'missing_parameter' }],
      [400, { param: 'suffix', code: 'unsupported_parameter' }],
      [400, { param: 'stream' }],
    ]);
    expect(text).not.toContain('secret detail');
    expect(engine.running).toBe(0);
  });

  it.each<[object, string, string]>([
    [{}, 'body', 'missing_parameter'],
    ...[null, 'text', [], [{}], 5, true].map((body): [object, string, string] => [{ body }, 'body', 'invalid_type']),
    [{ ...item('a'), method: 'GET' }, 'method', 'invalid_value'],
    [{ ...item('a'), method: 5 }, 'method', 'invalid_value'],
    [{ ...item('a'), url: '/v1/chat/completions' }, 'url', 'invalid_value'],
  ])('lets %j fail alone, whatever is wrong with it', async (bad, param, code) => {
    const { app, engine } = await testServer();
    const requests = [item('x'), { ...bad, custom_id: 'bad' }, item('z')];
    const { status, body } = await post(app, url, { requests });
    expect(status).toBe(200);
    const statuses = body.data.map(({ custom_id, response }) => [custom_id, response.status_code]);
    expect(statuses).toEqual([['x', 200], ['bad', 400], ['z', 200]]); // prettier-ignore
    expect(body.data[1]?.response.body.error).toMatchObject({ param, code });
    const events = eventsOf((await post(app, url, { requests, stream: true })).text);
    expect(events.filter(({ custom_id }) => custom_id === 'bad')).toMatchObject([{ error: { param, code } }]);
    expect(engine.submitted).toHaveLength(4);
  });

  it('takes an item as OpenAI writes it', async () => {
    const { app } = await testServer();
    const line = { ...item('ab'), method: 'POST', url: '/v1/completions' };
    const { body } = await post(app, url, { requests: [line, { ...line, custom_id: 'cd', method: null }] });
    expect(body.data.map(({ response }) => response.status_code)).toEqual([200, 200]);
  });

  it('takes null for stream as not given', async () => {
    const { app } = await testServer();
    const { status, body } = await post(app, url, { requests: [item('ab')], stream: null });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'list', data: [{ response: { status_code: 200 } }] });
  });

  it('streams chunks with their custom_id', async () => {
    const { app, engine } = await testServer();
    engine.capacity = 2;
    const requests = [item('a', { stream_options: { include_usage: true } }), item('b', { stream: true }), item('c')];
    const { headers, text } = await post(app, url, { requests, stream: true });
    expect(headers['content-type']).toMatch(/^text\/event-stream/);
    const events = eventsOf(text);
    const of = (id: string): Record<string, unknown>[] => events.filter((event) => event['custom_id'] === id);
    expect(of('a').length + of('b').length + of('c').length).toBe(events.length);
    expect(of('a').at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 } });
    expect(of('b').map((event) => (event['choices'] as { text: string }[])[0]?.text)).toEqual(['b', 'b', '']);
    expect(of('b')[0]).toMatchObject({ object: 'text_completion', model: 'tiny' });
    expect(of('c')).toEqual([{ custom_id: 'c', error: expect.objectContaining({ code: 'queue_full' }) as object }]);
  });

  const strict = sharedServer({ maxBatchItems: 3 });

  it.each([
    [{ requests: [] }, 'requests'],
    [{}, 'requests'],
    [{ requests: [item('a'), item('a')] }, 'requests[1].custom_id'],
    [{ requests: [item('')] }, 'requests[0].custom_id'],
    [{ requests: [{ ...item('a'), path: '/v1/completions' }] }, 'requests[0].path'],
    [{ requests: [item('a'), item('b'), item('c'), item('d')] }, 'requests'],
    [{ requests: [item('a')], stream: 'yes' }, 'stream'],
    [{ requests: [item('a')], priority: 1 }, 'priority'],
  ])('refuses the whole of %j', async (body, param) => {
    const { app, engine } = strict();
    const answer = await post(app, url, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ param, type: 'invalid_request_error' });
    expect(engine.submitted).toEqual([]);
  });

  it.each([null, 'a', 5, []])('says which of the requests %j is, which has no custom_id to answer by', async (bad) => {
    const { app } = strict();
    const { status, body } = await post(app, url, { requests: [item('a'), bad] });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: 'requests', message: "'requests[1]' must be object." });
  });
});
