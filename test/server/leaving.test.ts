import type { IncomingMessage, ServerResponse } from 'node:http';

import { expect, it, vi } from 'vitest';

import { realServer } from '../support/real-server.js';

it.each([
  ['in the middle of a stream', true],
  ['while it waits for the whole', false],
])('a client that leaves %s frees its slots by the next step', async (_, stream) => {
  const server = await realServer({ slots: 2 });
  const step = vi.spyOn(server.model.runner, 'step');
  let stepsAtClose = NaN;
  server.server.app.server.on('request', (__: IncomingMessage, response: ServerResponse) =>
    response.once('close', () => (stepsAtClose = step.mock.calls.length)),
  );
  const abort = new AbortController();
  const body = { model: 'preamble-demo', prompt: [1], n: 8, max_tokens: 500, ignore_eos: true, stream };
  const request = fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: abort.signal,
  }).then((response) => response.text());
  await vi.waitFor(() => expect(step.mock.calls.length).toBeGreaterThan(3), 30_000);
  abort.abort();
  await expect(request).rejects.toThrow();
  await server.engine.idle();
  // The one in flight is counted already; none is begun for nobody.
  expect(step.mock.calls.length).toBe(stepsAtClose);
  expect(step.mock.calls.length).toBeLessThan(4 * 500);
  expect(server.engine.stats()).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
});
