import { describe, expect, it } from 'vitest';

import { eventReader, streamTogether } from '../../bench/load/stream-together.js';
import { listen, testServer } from '../server/harness.js';

const body = { model: 'tiny', prompt: 'a', temperature: 0, ignore_eos: true, stream: true, return_token_ids: true };

describe('streams', () => {
  it('are counted token by token on a real server', async () => {
    const { app, engine } = await testServer();
    const url = `${await listen(app)}/v1/completions`;
    const counts = [4, 7, 2];
    const requests = counts.map((tokens) => ({ body: { ...body, max_tokens: tokens }, tokens }));
    const arrivals = await streamTogether(url, requests);
    expect(arrivals.map((times) => times.length)).toEqual(counts);
    for (const times of arrivals) expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(engine.submitted.map(({ maxTokens }) => maxTokens).sort()).toEqual([2, 4, 7]);
  });

  it('that bring too few tokens are an error, and so is an answer that is not 200', async () => {
    const { app } = await testServer();
    const url = `${await listen(app)}/v1/completions`;
    const short = streamTogether(url, [{ body: { ...body, max_tokens: 2 }, tokens: 3 }]);
    await expect(short).rejects.toThrow('2 tokens arrived, not 3');
    const refused = streamTogether(url, [{ body: { ...body, max_tokens: -1 }, tokens: 1 }]);
    await expect(refused).rejects.toThrow('1 answers that are not 200');
  });
});

it('events are whole however the socket cuts them', () => {
  const stream = 'a\r\ndata: {"n":1}\n\n\r\nb\r\ndata: {"n":2}\n\n\r\n7\r\ndata: [DONE]\n\n\r\n0\r\n\r\n';
  for (let cut = 0; cut <= stream.length; cut++) {
    const events: string[] = [];
    const read = eventReader((data) => events.push(data));
    read(stream.slice(0, cut));
    read(stream.slice(cut));
    expect(events).toEqual(['{"n":1}', '{"n":2}']);
  }
});
