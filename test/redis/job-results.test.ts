import { afterAll, beforeAll, expect, it } from 'vitest';

import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisJobResults } from '../../src/redis/jobs/redis-job-results.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { job } from '../fine-tuning/fixtures.js';
import { describeJobResults, linesOf, result } from '../jobs/job-results-contract.js';
import { RedisServer } from '../support/redis-server.js';

let server: RedisServer;
let connection: RedisConnection;
beforeAll(async () => {
  server = await RedisServer.start(['--appendfsync', 'no']); // thousands of results, one by one
  connection = await RedisConnection.open({ url: server.url });
});
afterAll(async () => {
  connection.close();
  await server.stop();
});

/** A store in which one job runs. */
async function makeStore() {
  await connection.client.flushdb();
  const jobs = new RedisJobStore<FineTuningJob>(connection, FINE_TUNING);
  const running = job();
  await jobs.add('t', running);
  await jobs.change('t', running.id, ['queued'], { status: 'running' });
  return { store: new RedisJobResults(connection, FINE_TUNING), job: { tenant: 't', id: running.id }, jobs };
}

describeJobResults('Redis', makeStore);

it('takes one of two results that two workers add, and knows what the other added when it counts and reads', async () => {
  const { store, job: ref } = await makeStore();
  const [lost, taker] = [await store.open(ref), await store.open(ref)];
  await Promise.all([1, 2, 3, 4].map((number) => lost.add([result(number)])));
  await Promise.all([3, 4, 5, 6].map((number) => taker.add([{ ...result(number), text: `taker ${number}` }])));
  expect(await taker.counts()).toEqual({ done: 6 });
  expect(await linesOf(taker, 'output')).toEqual(
    [...[1, 2, 3, 4].map((n) => result(n).text), 'taker 5', 'taker 6'].sort(),
  );
});

it('drops what comes for a job that does not run any more, and leaves nothing behind', async () => {
  const { store, job: ref, jobs } = await makeStore();
  const late = await store.open(ref);
  await late.add([result(1)]);
  await jobs.change('t', ref.id, ['running'], { status: 'finishing' });
  await late.add([result(2)]);
  expect(await linesOf(await store.open(ref), 'output')).toEqual([result(1).text]);
  await store.delete(ref);
  await jobs.delete('t', ref.id);
  await late.add([result(3)]);
  expect(await connection.client.keys('*')).toEqual([]);
});
