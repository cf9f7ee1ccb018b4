import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';

import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { deathProblem } from '../../src/fine-tuning/job-problem.js';
import { JobWorker } from '../../src/jobs/job-worker.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { job } from '../fine-tuning/fixtures.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { RedisServer } from '../support/redis-server.js';
import { openJobQueue } from './open-job-queue.js';

const LOST_AFTER = 600;
/** Long enough for every lock to run out. */
const OUTAGE = 2 * LOST_AFTER;

let server: RedisServer;
beforeEach(async () => {
  server = await RedisServer.start();
});
afterEach(() => server.stop());

async function connect(): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url: server.url });
  onTestFinished(() => connection.close());
  return connection;
}

/** A machine with a worker: it trains until `end` is called, and counts how often it began. */
async function startMachine() {
  const connection = await connect();
  const queue = openJobQueue(connection, { lostAfter: LOST_AFTER, retryAfter: 100 });
  const jobs = new RedisJobStore<FineTuningJob>(connection, FINE_TUNING);
  const machine = { queue, jobs, trained: 0, end: (): void => undefined };
  await queue.work(
    new JobWorker({
      store: jobs,
      directory: await temporaryDirectory(),
      now: Date.now,
      observer: { jobStarted: () => undefined, jobEnded: () => undefined, jobBroke: () => undefined },
      work: {
        kind: FINE_TUNING,
        run: ({ signal }) => {
          machine.trained++;
          return new Promise((resolve) => {
            machine.end = () => resolve('done');
            signal.addEventListener('abort', () => resolve('interrupted'));
          });
        },
        finish: async () => ({}),
        problemOf: () => undefined,
        serverFault: () => ({ code: 'server_error', message: 'fault', param: null }),
        deathProblem,
      },
    }),
  );
  return machine;
}

const outages = {
  hangs: async () => {
    server.pause();
    await delay(OUTAGE);
    server.resume();
  },
  'is killed': async () => {
    await server.kill();
    await delay(OUTAGE);
    await server.start();
  },
};

it.each(Object.entries(outages))(
  'a Redis that %s again and again has no job trained twice, and none failed',
  async (_, outage) => {
    const machines = [await startMachine(), await startMachine()];
    const [{ jobs, queue }] = machines as [Awaited<ReturnType<typeof startMachine>>];
    const { id } = job();
    await jobs.add('t', job({ id }));
    await queue.add({ tenant: 't', id });
    const trainings = (): number => machines.reduce((sum, { trained }) => sum + trained, 0);
    await expect.poll(trainings).toBe(1);
    const status = (): Promise<string | undefined> => jobs.get('t', id).then((found) => found?.status, () => 'away'); // prettier-ignore
    for (let i = 0; i < 5; i++) {
      await outage();
      // Both workers look for lost jobs a few times.
      await delay(3 * LOST_AFTER);
      expect([await status(), trainings()]).toEqual(['running', 1]);
    }
    const last = outage();
    await delay(OUTAGE / 2);
    for (const { end } of machines) end();
    await last;
    await expect.poll(status, { timeout: 20_000 }).toBe('succeeded');
    await delay(4 * LOST_AFTER);
    expect([await status(), trainings()]).toEqual(['succeeded', 1]);
  },
  120_000,
);
