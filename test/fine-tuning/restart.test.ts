import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';

import OpenAI, { toFile } from 'openai';
import { expect, it } from 'vitest';

import { addressOf, exitStatus, type Running, startProgram, testModelCache } from '../support/program.js';

const data = Array.from({ length: 8 }, (_, i) => JSON.stringify({ prompt: `${i}:`, completion: ' Forty-two.' })).join(
  '\n',
);
/** At the lowest priority, a machine that is busy with other tests would leave training no time. */
const settings = { PREAMBLE_CACHE: testModelCache, PREAMBLE_TUNING_NICE: '0' };
/** Long enough that it is interrupted, and over soon after. */
const prefix_tuning = { mlp: 0, length: 4, learning_rate: 0.05, max_steps: 1000 };

/** Processes that train for this server. */
function children({ process: { pid } }: Running): number[] {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
      .split(/\s+/)
      .filter(Boolean)
      .map(Number);
  } catch {
    return []; // ps tells by its status that there is none
  }
}

async function clientOf(running: Running): Promise<OpenAI> {
  return new OpenAI({ baseURL: `${await addressOf(running)}/v1`, apiKey: 'none', maxRetries: 0 });
}

it('a job goes on after its process is killed, after the server leaves and after the server is killed, to the same prefix', async () => {
  const first = await startProgram(settings);
  const store = { ...settings, PREAMBLE_STORE: `file:${first.directory}/prefixes` };
  const client = await clientOf(first);
  const upload = async (to: OpenAI): Promise<string> =>
    (await to.files.create({ file: await toFile(Buffer.from(data), 'data.jsonl'), purpose: 'fine-tune' })).id;
  const body = { model: 'preamble-demo', hyperparameters: { n_epochs: 1000 }, prefix_tuning };
  const training_file = await upload(client);
  const { id } = await client.fineTuning.jobs.create({ ...body, training_file });
  const messages = async (from: OpenAI): Promise<string[]> =>
    (await from.fineTuning.jobs.listEvents(id, { limit: 100 })).data.map(({ message }) => message);
  const until = (from: OpenAI, message: string) =>
    expect.poll(async () => (await messages(from)).join('\n'), { timeout: 60_000 }).toContain(message);
  const childOf = async (server: Running): Promise<number> => {
    await expect.poll(() => children(server).length, { timeout: 60_000 }).toBe(1);
    return children(server)[0]!;
  };

  await until(client, 'Step ');
  await client.files.delete(training_file); // the job has its own copy
  process.kill(await childOf(first), 'SIGKILL');
  await until(client, 'The training process ended; it is started again');
  first.process.kill('SIGTERM');
  await once(first.process, 'exit');

  const second = await startProgram(store);
  await addressOf(second);
  const orphan = await childOf(second);
  second.process.kill('SIGKILL');
  // The training process ends with the server.
  const isThere = (): boolean => {
    try {
      return process.kill(orphan, 0);
    } catch {
      return false;
    }
  };
  await expect.poll(isThere, { timeout: 60_000 }).toBe(false);

  const last = await clientOf(await startProgram(store));
  const status = async (): Promise<string> => (await last.fineTuning.jobs.retrieve(id)).status;
  await expect.poll(status, { timeout: 60_000 }).toBe('succeeded');
  const job = await last.fineTuning.jobs.retrieve(id);

  // The same job without an interruption.
  const twin = await last.fineTuning.jobs.create({ ...body, training_file: await upload(last) });
  await expect
    .poll(async () => (await last.fineTuning.jobs.retrieve(twin.id)).status, { timeout: 60_000 })
    .toBe('succeeded');
  const version = (model: string | null) => model?.split('@')[1];
  expect(version((await last.fineTuning.jobs.retrieve(twin.id)).fine_tuned_model)).toBe(version(job.fine_tuned_model));
}, 180_000);

it('a server that leaves stops training while it finishes requests', async () => {
  const server = await startProgram({ ...settings, PREAMBLE_DRAIN_SECONDS: '600' });
  const client = await clientOf(server);
  const file = await toFile(Buffer.from(`${data}\n`.repeat(1000)), 'data.jsonl');
  const { id: training_file } = await client.files.create({ file, purpose: 'fine-tune' });
  const endless = { hyperparameters: { n_epochs: 1000 }, prefix_tuning: { ...prefix_tuning, max_steps: 1_000_000 } };
  await client.fineTuning.jobs.create({ model: 'preamble-demo', training_file, ...endless });
  await expect.poll(() => children(server).length, { timeout: 60_000 }).toBe(1);
  const headers = { expect: '100-continue', 'content-type': 'application/json', 'content-length': 2 };
  const unfinished = http.request(`${await addressOf(server)}/v1/completions`, { method: 'POST', headers });
  unfinished.on('error', () => undefined).flushHeaders();
  await once(unfinished, 'continue');
  server.process.kill('SIGTERM');
  await expect.poll(() => children(server), { timeout: 120_000 }).toEqual([]);
  expect(server.process.exitCode).toBeNull();
  unfinished.destroy();
  expect(await exitStatus(server)).toBe(0);
}, 300_000);
