import { execFileSync } from 'node:child_process';

import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { temporaryDirectory } from '../server/prefix-library.js';
import { exitStatus, type Running, startWorker, testModelCache } from '../support/program.js';
import { realServer } from '../support/real-server.js';
import { RedisServer } from '../support/redis-server.js';

const KEYS = { alice: 'alices-key', bob: 'bobs-key' };
const apiKeys = Object.entries(KEYS).map(([tenant, key]) => ({ tenant, key }));
const BASE = 'preamble-demo';
const EXAMPLES = Array.from({ length: 8 }, (_, i) => JSON.stringify({ prompt: `${i}:`, completion: ' Forty-two.' }));
/** Long enough to be interrupted. */
const long = { mlp: 0, length: 4, learning_rate: 0.05, max_steps: 100 };
const endless = { ...long, max_steps: 1_000_000 };
const wait = { timeout: 150_000, interval: 20 };

let redis: RedisServer;
beforeEach(async () => {
  redis = await RedisServer.start();
});
afterEach(() => redis.stop());

/** A server that leaves training to others. */
async function startServer(tuningWorkers = 0): Promise<Record<keyof typeof KEYS, OpenAI>> {
  const store = { kind: 'redis', url: redis.url } as const;
  const { url } = await realServer({ apiKeys, store, tuningWorkers, tuningLostSeconds: 5 });
  const client = (apiKey: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
  return { alice: client(KEYS.alice), bob: client(KEYS.bob) };
}

/** @param cache where the compiled model is, and what a job leaves for the next worker of the same machine */
async function startReadyWorker(cache = testModelCache): Promise<Running> {
  const worker = await startWorker({
    PREAMBLE_STORE: redis.url,
    PREAMBLE_CACHE: cache,
    PREAMBLE_TUNING_LOST_SECONDS: '5',
    PREAMBLE_TUNING_NICE: '0', // the machine is busy with other tests
  });
  await expect.poll(() => worker.output.out, wait).toContain('Preamble trains prefixes');
  return worker;
}

async function create(client: OpenAI, prefix_tuning: object, suffix?: string): Promise<string> {
  const file = await toFile(Buffer.from(EXAMPLES.join('\n')), 'data.jsonl');
  const { id: training_file } = await client.files.create({ file, purpose: 'fine-tune' });
  const body = { model: BASE, training_file, suffix, hyperparameters: { n_epochs: 1000 }, prefix_tuning };
  return (await client.fineTuning.jobs.create(body as never)).id;
}

/** Waits until the job has the status, and gives it. */
async function until(client: OpenAI, id: string, status: string): Promise<OpenAI.FineTuning.FineTuningJob> {
  await expect.poll(async () => (await client.fineTuning.jobs.retrieve(id)).status, wait).toBe(status);
  return client.fineTuning.jobs.retrieve(id);
}

async function messages(client: OpenAI, id: string): Promise<string[]> {
  return (await client.fineTuning.jobs.listEvents(id, { limit: 100 })).data.map(({ message }) => message);
}

async function untilStep(client: OpenAI, id: string): Promise<void> {
  await expect.poll(async () => (await messages(client, id)).join('\n'), wait).toContain('Step ');
}

/** Whether a process of it trains. */
function trains({ process: { pid } }: Running): boolean {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).trim() !== '';
  } catch {
    return false; // ps tells by its status that there is none
  }
}

it('workers share the jobs of all servers, and finish what one left that was killed', async () => {
  const [a, b] = [await startServer(), await startServer()];
  const workers = [await startReadyWorker(), await startReadyWorker(await temporaryDirectory())];
  const [alices, bobs] = [await create(a.alice, long, 'users/alice'), await create(b.bob, long)];
  await Promise.all([untilStep(b.alice, alices), untilStep(a.bob, bobs)]);
  expect(workers.map(trains)).toEqual([true, true]);

  workers[0]?.process.kill('SIGKILL');
  const [first, second] = [await until(b.alice, alices, 'succeeded'), await until(a.bob, bobs, 'succeeded')];
  // Interrupted or not, on the one machine or the other: the same prefix.
  const version = ({ fine_tuned_model: model }: typeof first) => model?.split('@')[1];
  expect(version(first)).toBe(version(second));
  const ask = (client: OpenAI, model: string) => client.completions.create({ model, prompt: '3:', max_tokens: 4 });
  for (const client of [a.alice, b.alice]) {
    for (const model of [first.fine_tuned_model!, 'users/alice']) {
      expect((await ask(client, model)).usage).toMatchObject({ prompt_tokens_details: { prefix_tokens: 4 } });
    }
  }
  for (const attempt of [
    () => a.bob.fineTuning.jobs.retrieve(alices),
    () => b.bob.fineTuning.jobs.cancel(alices),
    () => a.bob.files.content(first.result_files[0]!),
    () => ask(b.bob, first.fine_tuned_model!),
  ]) {
    await expect(attempt(), attempt.toString()).rejects.toMatchObject({ status: 404 });
  }
}, 180_000);

it('a job is cancelled through any server, given back by a worker that leaves, and goes on when Redis was killed', async () => {
  const { alice } = await startServer();
  const worker = await startReadyWorker();
  const cancelled = await create(alice, endless);
  await untilStep(alice, cancelled);
  expect(await alice.fineTuning.jobs.cancel(cancelled)).toMatchObject({ status: 'cancelled' });
  await expect.poll(() => trains(worker), wait).toBe(false);

  const moved = await create(alice, long);
  await untilStep(alice, moved);
  worker.process.kill('SIGTERM');
  expect(await exitStatus(worker)).toBe(0);
  expect((await alice.fineTuning.jobs.retrieve(moved)).status).toBe('running');
  const other = await startServer(1);
  await expect
    .poll(async () => (await messages(other.alice, moved)).filter((text) => text === 'Training started'), wait)
    .toHaveLength(2);
  await redis.kill();
  await redis.start();
  await until(alice, moved, 'succeeded');
  expect((await messages(alice, moved)).filter((text) => text.startsWith('New model created'))).toHaveLength(1);
  expect(await alice.fineTuning.jobs.retrieve(cancelled)).toMatchObject({
    status: 'cancelled',
    fine_tuned_model: null,
  });
}, 180_000);

it('a worker needs a Redis, and ends though it is away', async () => {
  const lost = await startWorker({});
  expect(await exitStatus(lost)).toBe(2);
  expect(lost.output.err).toContain('PREAMBLE_STORE: a worker takes its jobs from a Redis');
  const worker = await startReadyWorker();
  await redis.kill();
  worker.process.kill('SIGTERM');
  expect(await exitStatus(worker)).toBe(0);
  // One line may say that the store fails, where the worker noticed before it ended; nothing else may.
  const lines = worker.output.err
    .split('\n')
    .filter((line) => line !== '' && !line.includes('"msg":"the store fails"'));
  expect(lines).toStrictEqual(['stopping after the step under way; the job goes back to the queue']);
});
