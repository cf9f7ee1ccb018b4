import { describe, expect, it } from 'vitest';

import { EngineFeed } from '../../src/metrics/feed/engine-feed.js';
import type { EngineState } from '../../src/server/engine/schema.js';
import { realServer } from '../support/real-server.js';
import { listen, testServer } from './harness.js';

const adminKey = 'wallaby-administers';
const operator = { authorization: `Bearer ${adminKey}` };
const PATH = '/v1/admin/engine/events';

/** The events of a stream, one after the other; undefined at its `[DONE]`. */
function reader(answer: Response): () => Promise<EngineState | undefined> {
  const pieces = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  return async () => {
    let end = rest.indexOf('\n\n');
    for (; end < 0; end = rest.indexOf('\n\n')) {
      const { done, value } = await pieces.read();
      if (done) throw new Error('the stream ends without [DONE]');
      rest += value;
    }
    const data = rest.slice('data: '.length, end);
    rest = rest.slice(end + 2);
    return data === '[DONE]' ? undefined : (JSON.parse(data) as EngineState);
  };
}

describe('the routes of the engine', () => {
  it('tell of slots, queue and tokens under load, and never of whom or of what', async () => {
    const apiKeys = ['quokka', 'wombat'].map((tenant) => ({ tenant, key: `${tenant}-key` }));
    const server = await realServer({ adminKey, apiKeys, slots: 3 });
    const abort = new AbortController();
    const running = apiKeys.map(({ key }) =>
      fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: JSON.stringify({ model: 'preamble-demo', prompt: 'platypus', n: 2, max_tokens: 450, ignore_eos: true }),
        signal: abort.signal,
      }).catch(() => undefined),
    );
    const answer = await fetch(`${server.url}${PATH}`, { headers: operator, signal: abort.signal });
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const next = reader(answer);
    expect(await next()).toMatchObject({ object: 'engine', interval: null });
    let busy = await next();
    while ((busy?.running ?? 0) < 3) busy = await next();
    expect(busy).toMatchObject({ waiting: { interactive: 1, background: 0 }, context_length: 512 });
    expect(busy?.slots.map(({ state }) => state)).toHaveLength(3);
    expect(new Set(busy?.slots.map(({ tenant }) => tenant))).toEqual(new Set([1, 2]));
    while ((busy?.interval?.generated_tokens ?? 0) === 0) busy = await next();
    expect(busy?.interval?.step_seconds_p50).toBeGreaterThan(0);
    expect(busy?.kv_usage).toBeGreaterThan(0);
    const now = await fetch(`${server.url}/v1/admin/engine`, { headers: operator });
    const state = (await now.json()) as EngineState;
    expect(state).toMatchObject({ object: 'engine', interval: null });
    expect(state.generated_tokens).toBeGreaterThanOrEqual(busy?.generated_tokens ?? NaN);
    expect(JSON.stringify([busy, state])).not.toMatch(/quokka|wombat|platypus|preamble-demo|-key/);
    abort.abort();
    await Promise.all(running);
    await server.engine.idle();
  });

  it('need the operator’s key where there are keys, and are not there without one', async () => {
    const apiKeys = [{ tenant: 'a', key: 'a-key' }];
    const { app } = await testServer({ adminKey, apiKeys });
    for (const url of ['/v1/admin/engine', PATH]) {
      for (const headers of [{}, { authorization: 'Bearer a-key' }])
        expect((await app.inject({ url, headers })).statusCode).toBe(401);
    }
    expect((await app.inject({ url: '/v1/admin/engine', headers: operator })).statusCode).toBe(200);
    const without = await testServer({ apiKeys });
    for (const url of ['/v1/admin/engine', PATH])
      expect((await without.app.inject({ url, headers: { authorization: 'Bearer a-key' } })).statusCode).toBe(404);
  });

  it('are open on a server without keys, to this machine', async () => {
    const { app } = await testServer();
    expect((await app.inject({ url: '/v1/admin/engine' })).json()).toMatchObject({ object: 'engine', running: 0 });
    expect((await app.inject({ url: '/v1/admin/engine', headers: { host: 'example.org' } })).statusCode).toBe(403);
    expect((await app.inject({ url: '/v1/admin/tenants' })).statusCode).toBe(404);
    expect((await app.inject({ url: '/v1/admin/engine?verbose=1' })).statusCode).toBe(200);
  });

  it('serve so many streams and refuse one more, until one leaves', async () => {
    const { app } = await testServer();
    const url = `${await listen(app)}${PATH}`;
    const leave = new AbortController();
    const open = async (): Promise<Response> => fetch(url, { signal: leave.signal });
    for (let count = 0; count < EngineFeed.maxSubscriptions; count++) expect((await open()).status).toBe(200);
    const refused = await fetch(url);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ error: { code: 'too_many_listeners', type: 'rate_limit_error' } });
    leave.abort();
    await expect.poll(async () => {
      const answer = await fetch(url);
      void answer.body?.cancel();
      return answer.status;
    }).toBe(200); // prettier-ignore
  });

  it('end when the server leaves', async () => {
    const { app, drain } = await testServer();
    const next = reader(await fetch(`${await listen(app)}${PATH}`));
    await next();
    const drained = drain();
    let event = await next();
    while (event !== undefined) event = await next();
    await drained;
  });
});
