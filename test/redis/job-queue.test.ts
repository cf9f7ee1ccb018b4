import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { deathProblem } from '../../src/fine-tuning/job-problem.js';
import type { JobOutcome, Worker } from '../../src/jobs/job-queue.js';
import { JobWorker } from '../../src/jobs/job-worker.js';
import { JobRecovery } from '../../src/jobs/recovery.js';
import { RedisConnection } from '../../src/redis/connection.js';
import type { RedisJobQueue, RedisJobQueueOptions } from '../../src/redis/jobs/redis-job-queue.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { FINGERPRINT, job } from '../fine-tuning/fixtures.js';
import { workerOf } from '../jobs/fixtures.js';
import { RedisServer } from '../support/redis-server.js';
import { openJobQueue } from './open-job-queue.js';

/** Milliseconds; its parts are no whole numbers, which Redis refuses for times. */
const LOST_AFTER = 700;

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await (await connect()).client.flushdb();
});

async function connect(): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url: server.url });
  onTestFinished(() => connection.close());
  return connection;
}

/** One process's end of the queue. */
async function openQueue(options: Partial<RedisJobQueueOptions> = {}): Promise<RedisJobQueue> {
  const connection = await connect();
  return openJobQueue(connection, { lostAfter: LOST_AFTER, ...options });
}

/** Work that says what it was given, and goes on until it is told how it ended or is stopped. */
function openWork(): { work: Worker; begun: string[]; end: (outcome: JobOutcome | Error) => void } {
  const begun: string[] = [];
  let end: (outcome: JobOutcome | Error) => void = () => undefined;
  const work = workerOf(async ({ tenant, id }, stop) => {
    begun.push(`${tenant} ${id}`);
    const outcome = await new Promise<JobOutcome | Error>((resolve) => {
      end = resolve;
      stop.addEventListener('abort', () => resolve('interrupted'));
    });
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
  return { work, begun, end: (outcome) => end(outcome) };
}

async function addJob(queue: RedisJobQueue, tenant: string, changes: Partial<FineTuningJob> = {}): Promise<string> {
  const added = job(changes);
  await new RedisJobStore<FineTuningJob>(await connect(), FINE_TUNING).add(tenant, added);
  await queue.add({ tenant, id: added.id });
  return `${tenant} ${added.id}`;
}

/** A key of BullMQ's. */
function keyOf(name: string): string {
  return `preamble:1:{tuning}:queue:${FINGERPRINT.slice(0, 16)}:${name}`;
}

/** Leaves of a job's lock what is left of one whose worker died: it is another's, until it runs out. */
async function loseWorker(id: string): Promise<void> {
  await (await connect()).client.set(keyOf(`${id}:lock`), 'another worker', 'PX', LOST_AFTER / 2);
}

const soon = { timeout: 10_000, interval: 10 };

it('brings each job to one of the workers of its base model', async () => {
  const [a, b] = [await openQueue({ workers: 2 }), await openQueue()];
  const other = await openQueue({ fingerprint: 'e'.repeat(64) });
  const done: string[] = [];
  const by = new Set<string>();
  const worker = (name: string): Worker =>
    workerOf(async ({ tenant, id }) => {
      await delay(30);
      by.add(name);
      done.push(`${tenant} ${id}`);
      return 'done';
    });
  await Promise.all([a.work(worker('a')), b.work(worker('b')), other.work(worker('other'))]);
  const added = [];
  for (let i = 0; i < 12; i++) added.push(await addJob(a, `t${i % 3}`));
  await expect.poll(() => done.length, soon).toBe(12);
  expect(done.sort()).toEqual(added.sort());
  expect([...by].sort()).toEqual(['a', 'b']);
});

it('has ids and tenants in Redis, and nothing of a job that is done', async () => {
  const queue = await openQueue();
  const { client } = await connect();
  await addJob(queue, 't');
  const [key = ''] = await client.keys('preamble:1:{tuning}:queue:*:ftjob-*');
  expect(await client.hget(key, 'data')).toBe('{"tenant":"t"}');
  await queue.work(workerOf(async () => 'done'));
  await expect.poll(() => client.keys('preamble:1:{tuning}:queue:*ftjob*'), soon).toEqual([]);
});

it('lets tenants take turns', async () => {
  const queue = await openQueue();
  const names: string[] = [];
  for (const tenant of ['a', 'a', 'a', 'b', 'c', 'b']) await addJob(queue, tenant);
  const { work, begun, end } = openWork();
  await queue.work(work);
  await expect.poll(() => begun.length, soon).toBe(1);
  await addJob(queue, 'd'); // who comes late has no turns saved, and none lost
  for (let i = 1; i <= 7; i++) {
    await expect.poll(() => begun.length, soon).toBe(i);
    end('done');
  }
  names.push(...begun.map((name) => name.split(' ')[0] ?? ''));
  expect(names).toEqual(['a', 'b', 'c', 'a', 'b', 'd', 'a']);
});

it('gives a job back at once when its worker leaves', async () => {
  const [leaving, staying] = [await openQueue(), await openQueue()];
  const [first, second] = [openWork(), openWork()];
  await leaving.work(first.work);
  const added = await addJob(leaving, 't');
  await expect.poll(() => first.begun, soon).toEqual([added]);
  await staying.work(second.work);
  await leaving.close();
  await expect.poll(() => second.begun, { timeout: LOST_AFTER }).toEqual([added]);
  second.end('done');
});

it('brings a job again that found its store away', async () => {
  const queue = await openQueue({ retryAfter: 100 });
  const { work, begun, end } = openWork();
  await queue.work(work);
  const added = await addJob(queue, 't');
  await expect.poll(() => begun.length, soon).toBe(1);
  end(new StoreError('jobs', 'unavailable'));
  await expect.poll(() => begun, soon).toEqual([added, added]);
  end('done');
});

it('adds what is in the store and not in the queue', async () => {
  const { id } = job();
  await new RedisJobStore<FineTuningJob>(await connect(), FINE_TUNING).add('t', job({ id }));
  const { work, begun, end } = openWork();
  const queue = await openQueue();
  const jobs = new RedisJobStore<FineTuningJob>(await connect(), FINE_TUNING);
  const recovery = new JobRecovery({ jobs, queue, fingerprint: FINGERPRINT, directory: '/no/such/directory' });
  onTestFinished(() => recovery.stop());
  await recovery.start();
  await recovery.stop();
  await queue.work(work);
  await expect.poll(() => begun, soon).toEqual([`t ${id}`]);
  end('done');
});

it('stops a job that is not its any more, and gives up one whose workers die', async () => {
  const [queue, connection] = [await openQueue(), await connect()];
  const { work, begun } = openWork();
  const jobs = new RedisJobStore<FineTuningJob>(connection, FINE_TUNING);
  const options = { store: jobs, directory: '', observer: {} as never, now: Date.now };
  const ending = new JobWorker({ ...options, work: { kind: FINE_TUNING, deathProblem } as never });
  await queue.work({ run: work.run, giveUp: (lost, deaths) => ending.giveUp(lost, deaths) });
  const [tenant = '', id = ''] = (await addJob(queue, 't', { status: 'finishing' })).split(' ');
  for (let deaths = 1; deaths <= 5; deaths++) {
    await expect.poll(() => begun.length, soon).toBe(deaths);
    await loseWorker(id);
  }
  await expect.poll(async () => (await jobs.get(tenant, id))?.status, soon).toBe('failed');
  expect((await jobs.get(tenant, id))?.error).toMatchObject({ code: 'training_failed', param: null });
  expect((await jobs.events(tenant, id, { limit: 1 })).data[0]?.message).toContain('5 workers died');
  expect(await jobs.unfinished(FINGERPRINT)).toEqual([]);
});

it('keeps a job whose lock ran out while nobody else was given it', async () => {
  const [queue, { client }] = [await openQueue(), await connect()];
  const { work, begun, end } = openWork();
  await queue.work(work);
  const [, id = ''] = (await addJob(queue, 't')).split(' ');
  await expect.poll(() => begun.length, soon).toBe(1);
  await client.set(keyOf('stalled-check'), 1); // no worker looks for lost jobs
  await client.del(keyOf(`${id}:lock`));
  await expect.poll(() => client.exists(keyOf(`${id}:lock`)), soon).toBe(1);
  end('done');
  await expect.poll(() => client.exists(keyOf(id)), soon).toBe(0);
  expect(begun).toHaveLength(1);
});

it('begins a job that it lost and got again when the first run has ended', async () => {
  const queue = await openQueue({ workers: 2 });
  const log: string[] = [];
  await queue.work(
    workerOf(async (_, stop) => {
      log.push('begin');
      if (log.length > 2) return 'done';
      await new Promise((resolve) => stop.addEventListener('abort', resolve));
      await delay(3 * LOST_AFTER); // a step, and a checkpoint
      log.push('end');
      return 'interrupted';
    }),
  );
  const [, id = ''] = (await addJob(queue, 't')).split(' ');
  await expect.poll(() => log, soon).toEqual(['begin']);
  await loseWorker(id);
  await expect.poll(() => log, soon).toEqual(['begin', 'end', 'begin']);
});

it('goes on when Redis was killed in the middle of a job', async () => {
  const queue = await openQueue();
  const { work, begun, end } = openWork();
  await queue.work(work);
  const first = await addJob(queue, 't');
  await expect.poll(() => begun, soon).toEqual([first]);
  await server.kill();
  await expect(queue.add({ tenant: 't', id: 'x' })).rejects.toMatchObject({ code: 'store_unavailable' });
  await server.start();
  end('done');
  let second = '';
  await expect.poll(async () => (second = await addJob(queue, 't')), soon).toBeTruthy();
  // The first comes once more where its lock ran out meanwhile: a worker finds out in the store that it is done.
  await expect
    .poll(() => {
      if (begun.at(-1) !== second) end('done');
      return begun.at(-1);
    }, soon)
    .toBe(second);
  end('done');
});

it('can be closed while Redis is away', async () => {
  const queue = await openQueue();
  const { work, begun } = openWork();
  await queue.work(work);
  await addJob(queue, 't');
  await expect.poll(() => begun.length, soon).toBe(1);
  await server.kill();
  const late = delay(5000, 'late', { ref: false });
  expect(await Promise.race([queue.close().then(() => 'closed'), late])).toBe('closed');
  await server.start();
});
