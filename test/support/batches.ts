import { type OpenAI, toFile } from 'openai';
import { expect } from 'vitest';

type Batch = OpenAI.Batches.Batch;

/** A line of a file of answers or errors. */
export interface BatchLine {
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: OpenAI.Completion } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Requests `r0`, `r1` and so on, each for one of the models in turns: sampled with a seed of its own, and so many tokens long. */
export function batchRequests(count: number, models: readonly string[], max_tokens = 16): object[] {
  return Array.from({ length: count }, (_, i) => ({
    custom_id: `r${i}`,
    method: 'POST',
    url: '/v1/completions',
    body: { model: models[i % models.length], prompt: `The ${i}`, max_tokens, seed: i, ignore_eos: true },
  }));
}

/** Uploads lines as a file of purpose `batch`, and returns its id. */
export async function uploadLines(client: OpenAI, lines: readonly (object | string)[]): Promise<string> {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  const file = await toFile(Buffer.from(text), 'requests.jsonl');
  return (await client.files.create({ file, purpose: 'batch' })).id;
}

/** Makes a batch of lines. */
export async function createBatch(client: OpenAI, lines: readonly (object | string)[]): Promise<Batch> {
  const input_file_id = await uploadLines(client, lines);
  return client.batches.create({ input_file_id, endpoint: '/v1/completions', completion_window: '24h' });
}

/** Waits until a batch has one of the statuses, and gives it. */
export async function batchUntil(client: OpenAI, id: string, ...statuses: Batch['status'][]): Promise<Batch> {
  let batch: Batch | undefined;
  const look = async (): Promise<string> => (batch = await client.batches.retrieve(id)).status;
  await expect.poll(look, { timeout: 150_000, interval: 50 }).toBeOneOf(statuses);
  return batch as Batch;
}

/** Waits until so many requests of a batch are done. */
export async function batchUntilDone(client: OpenAI, id: string, requests: number): Promise<void> {
  const done = async (): Promise<number> => (await client.batches.retrieve(id)).request_counts?.completed ?? 0;
  await expect.poll(done, { timeout: 150_000, interval: 50 }).toBeGreaterThanOrEqual(requests);
}

/** The lines of a file of answers or errors, in the order of their `custom_id`s; none where there is no file. */
export async function batchLines(client: OpenAI, file: string | null | undefined): Promise<BatchLine[]> {
  if (!file) return [];
  const text = await (await client.files.content(file)).text();
  const lines = text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as BatchLine); // prettier-ignore
  return lines.sort((a, b) => Number(a.custom_id.slice(1)) - Number(b.custom_id.slice(1)));
}

/** What of lines is the same whoever does them. */
export function textsOf(lines: readonly BatchLine[]): unknown[] {
  return lines.map(({ custom_id, response }) => [custom_id, response?.body.choices[0]?.text]);
}
