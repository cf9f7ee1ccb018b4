import { once } from 'node:events';

import OpenAI from 'openai';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { batchLines, batchRequests, batchUntil, batchUntilDone, createBatch, textsOf } from '../support/batches.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { addressOf, exitStatus, type Running, startProgram, testModelCache } from '../support/program.js';
import { RedisServer } from '../support/redis-server.js';

const KEYS = { alice: 'alices-key', bob: 'bobs-key' };
const BASE = 'preamble-demo';

let redis: RedisServer;
beforeEach(async () => {
  redis = await RedisServer.start();
});
afterEach(() => redis.stop());

type Server = Running & Record<keyof typeof KEYS, OpenAI>;

/** A server with a cache of its own, as on another machine: only the compiled model is shared. */
async function startServer(settings: Record<string, string> = {}): Promise<Server> {
  const running = await startProgram({
    PREAMBLE_STORE: redis.url,
    PREAMBLE_CACHE: testModelCache,
    PREAMBLE_SLOTS: '4',
    PREAMBLE_BATCH_LOST_SECONDS: '5',
    PREAMBLE_API_KEYS: Object.entries(KEYS).map((pair) => pair.join('=')).join(), // prettier-ignore
    ...settings,
  });
  const baseURL = `${await addressOf(running)}/v1`;
  const client = (apiKey: string): OpenAI => new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return { ...running, alice: client(KEYS.alice), bob: client(KEYS.bob) };
}

it('two servers share batches, and one finishes what the other left that was killed, and what was given back', async () => {
  const idle = await startServer({ PREAMBLE_BATCH_WORKERS: '0' });
  const first = await startServer();
  const lines = batchRequests(200, [BASE], 32);
  const { id } = await createBatch(idle.alice, lines);
  await batchUntilDone(idle.alice, id, 20);
  const second = await startServer({ PREAMBLE_CACHE: await temporaryDirectory() });
  first.process.kill('SIGKILL');
  await once(first.process, 'exit');
  const done = (await idle.alice.batches.retrieve(id)).request_counts!.completed;
  await batchUntilDone(second.alice, id, done + 20);

  // What a server has that leaves goes to another at once.
  const third = await startServer();
  second.process.kill('SIGTERM');
  expect(await exitStatus(second)).toBe(0);
  const batch = await batchUntil(third.alice, id, 'completed', 'failed');
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 200, completed: 200, failed: 0 } });
  const answers = await batchLines(idle.alice, batch.output_file_id);
  const twin = await batchUntil(third.alice, (await createBatch(third.alice, lines)).id, 'completed');
  expect(textsOf(answers)).toEqual(textsOf(await batchLines(third.alice, twin.output_file_id)));
  expect(answers).toHaveLength(200);

  // Nothing of it is another tenant's, on any server.
  for (const { bob } of [idle, third])
    for (const attempt of [
      () => bob.batches.retrieve(id),
      () => bob.batches.cancel(id),
      () => bob.files.content(batch.output_file_id!),
    ])
      await expect(attempt(), attempt.toString()).rejects.toMatchObject({ status: 404 });

  // It is cancelled through any server.
  const long = await createBatch(third.alice, batchRequests(2000, [BASE], 64));
  await batchUntilDone(third.alice, long.id, 5);
  expect(await idle.alice.batches.cancel(long.id)).toMatchObject({ status: 'cancelling' });
  const cancelled = await batchUntil(idle.alice, long.id, 'cancelled');
  expect(await batchLines(idle.alice, cancelled.output_file_id)).toHaveLength(cancelled.request_counts!.completed);
}, 500_000);
